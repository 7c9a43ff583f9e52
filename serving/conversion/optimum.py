"""`python -m serving.conversion.optimum MODEL_DIR`: what the optimum engine loads, made by Optimum.

    checkpoint → words of transformers 4 → ONNX graph (fp32) → dynamic int8 → MODEL_DIR/optimum/

Needs the environment of that engine, and eight bytes of memory for each parameter while it runs.
The result holds the graph, the config and the tokenizer.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from serving.conversion.check import MAX_ERROR, Deviation, compare, read_with_transformers
from serving.conversion.transformers4 import config_for_4, tokenizer_config_for_4
from serving.engines.optimum import GRAPH_FOLDER
from serving.engines.optimum_decoder import GRAPH_FILE, OptimumDecoder
from serving.errors import ConfigError
from serving.model_shape import read_config

READABLE = 0o644  # Optimum leaves weights readable to whoever converted them only
NUM_TOKENS = 128  # of the text that both models read
REWRITTEN: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "config.json": config_for_4,
    "tokenizer_config.json": tokenizer_config_for_4,
}
SIDE_FILES = (  # beside the graph, for the tokenizer and for where texts end
    "config.json",
    "generation_config.json",
    "tokenizer*",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab*",
    "merges.txt",
    "chat_template*",
)


def convert(model_dir: Path, *, trust_remote_code: bool = False) -> Deviation:
    """Writes `optimum/` in the checkpoint's folder, which is replaced only when all went well.

    Returns how near the result is; raises ConfigError for a checkpoint that cannot be converted.
    """
    read_config(model_dir)
    target = model_dir / GRAPH_FOLDER
    with tempfile.TemporaryDirectory(prefix=".optimum-", dir=model_dir) as name:
        old, graph, made = (Path(name) / part for part in ("checkpoint", "fp32", "made"))
        checkpoint_for_4(model_dir, old)
        try:
            _export(old, graph, trust_remote_code)
            _quantise(graph, made)
        except Exception as error:  # whatever Optimum raises for what it does not know
            reason = str(error).strip().partition("\n")[0]
            raise ConfigError(
                f"{model_dir} could not be converted by Optimum ({reason}); choose another engine "
                "for this model"
            ) from error
        for pattern in SIDE_FILES:
            for path in old.glob(pattern):
                shutil.copy(path, made)
        deviation = _check(old, made, trust_remote_code)
        if target.exists():
            shutil.rmtree(target)
        made.rename(target)
    return deviation


def checkpoint_for_4(model_dir: Path, target: Path) -> None:
    """A folder like the checkpoint's, in the words of transformers 4; weights are linked."""
    target.mkdir()
    for path in model_dir.iterdir():
        if path.name in REWRITTEN:
            rewritten = REWRITTEN[path.name](json.loads(path.read_text(encoding="utf-8")))
            (target / path.name).write_text(json.dumps(rewritten, indent=2), encoding="utf-8")
        elif path.is_file():
            (target / path.name).symlink_to(path.resolve())


def _export(checkpoint: Path, target: Path, trust_remote_code: bool) -> None:
    from optimum.onnxruntime import ORTModelForCausalLM

    model = ORTModelForCausalLM.from_pretrained(
        checkpoint, export=True, trust_remote_code=trust_remote_code, local_files_only=True
    )
    model.save_pretrained(target)


def _quantise(graph: Path, target: Path) -> None:
    """Weights in int8, a scale for each column; activations with one scale for all of a product."""
    from optimum.onnxruntime import ORTQuantizer
    from optimum.onnxruntime.configuration import AutoQuantizationConfig

    quantizer = ORTQuantizer.from_pretrained(graph, file_name=GRAPH_FILE)
    quantizer.quantize(
        AutoQuantizationConfig.avx512_vnni(is_static=False, per_channel=True),
        save_dir=target,
        file_suffix=None,
        use_external_data_format=True,
    )
    for path in target.iterdir():
        path.chmod(READABLE)


def _check(checkpoint: Path, made: Path, trust_remote_code: bool) -> Deviation:
    wanted, token_ids = read_with_transformers(checkpoint, NUM_TOKENS, trust_remote_code)
    decoder = OptimumDecoder(
        made, max_model_len=None, num_threads=2, trust_remote_code=trust_remote_code
    )
    deviation = compare(decoder.prefill(0, token_ids, 0, all_logits=True), wanted)
    if deviation.error > MAX_ERROR:
        raise ConfigError(
            f"what Optimum made does not answer as its checkpoint does ({deviation}); choose "
            "another engine for this model"
        )
    return deviation


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m serving.conversion.optimum",
        description="Turn a Hugging Face checkpoint into what the optimum engine loads.",
    )
    parser.add_argument("model_dir", type=Path, help="folder with config.json and weights")
    parser.add_argument("--trust-remote-code", action="store_true")
    arguments = parser.parse_args()
    try:
        deviation = convert(arguments.model_dir, trust_remote_code=arguments.trust_remote_code)
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{arguments.model_dir / GRAPH_FOLDER}: {deviation}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

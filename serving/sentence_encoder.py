"""Whether a model folder holds a sentence encoder, and how its vectors are made.

Reads the files that the sentence-transformers library writes beside a checkpoint: `modules.json`
(what follows the transformer), `1_Pooling/config.json`, `sentence_bert_config.json`. What they ask
for and we do not do is refused by name. A model's prompts ("query: ") are the caller's to write, as
with OpenAI's API. Source: sentence-transformers 6.2, and the files of its earlier versions.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serving.errors import ConfigError, InvalidRequest, UnsupportedField
from serving.model_shape import read_config
from serving.pooling import POOLINGS

MODULES_FILE = "modules.json"
MODEL_FILE = "config_sentence_transformers.json"
# Encoders that read whole texts at once; taken for sentence encoders where nothing says otherwise.
ENCODER_TYPES = frozenset(
    {
        "albert",
        "bert",
        "camembert",
        "distilbert",
        "electra",
        "modernbert",
        "mpnet",
        "nomic_bert",
        "roberta",
        "xlm-roberta",
    }
)
TRANSFORMER_FILES = ("sentence_bert_config.json", "sentence_*_config.json")
DEFAULT_POOLING = "mean"  # sentence-transformers' own
# How sentence-transformers called its poolings before it gave them one word.
OLD_MODE = "pooling_mode_"
POOLING_MODES = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_lasttoken": "lasttoken",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
}


@dataclass(frozen=True, slots=True)
class SentenceEncoder:
    """How a text becomes a vector, as far as the checkpoint's own config.json does not tell."""

    pooling: str = DEFAULT_POOLING  # a name of serving.pooling.POOLINGS
    normalize: bool = False  # vectors are of length one
    max_tokens: int | None = None  # of a text; None: as many as the transformer takes
    lower_case: bool = False  # texts are made lower case before the tokenizer sees them
    dimensions: int | None = None  # vectors are cut to so many; None: they are not
    matryoshka: bool = False  # callers may have them cut
    matryoshka_dimensions: tuple[int, ...] = ()  # to one of these; empty: to any number

    def check_dimensions(self, wanted: int, dimension: int) -> None:
        """Raise InvalidRequest unless vectors of `dimension` may be cut to what is wanted."""
        if wanted in (dimension, self.dimensions):
            return
        if not self.matryoshka:
            raise UnsupportedField(
                f"dimensions: the vectors of this model cannot be cut; leave it out or set it to "
                f"{self.dimensions or dimension}, which they have.",
                param="dimensions",
            )
        listed = self.matryoshka_dimensions
        if wanted > dimension or (listed and wanted not in listed):
            possible = ", ".join(map(str, listed)) or "less"
            raise InvalidRequest(
                f"dimensions: the vectors of this model have {dimension} and may be cut to "
                f"{possible}, not to {wanted}.",
                param="dimensions",
            )


def is_sentence_encoder(folder: Path) -> bool:
    """Whether the model in `folder` is made to embed texts."""
    if (folder / MODULES_FILE).is_file():
        return True
    if not (folder / "config.json").is_file():
        return False
    config = read_config(folder)
    architectures = config.get("architectures") or []
    bare = any(str(name).endswith("Model") for name in architectures)
    return bare and config.get("model_type") in ENCODER_TYPES


def read_sentence_encoder(folder: Path) -> SentenceEncoder:
    """What the folder says; a bare checkpoint has mean pooling, as in sentence-transformers.

    Raises ConfigError for a module, or a way of pooling, that is not one of ours.
    """
    try:
        return _understand(folder)
    except (AttributeError, KeyError, TypeError) as error:
        raise ConfigError(
            f"model_name: the files of sentence-transformers in {folder} are not as that library "
            f"writes them ({error!r}); copy them anew from the model's home",
            param="model_name",
        ) from error


def _understand(folder: Path) -> SentenceEncoder:
    modules = _modules(folder)
    transformer = _transformer_config(folder)
    config, cut = read_config(folder), folder / MODEL_FILE
    dimensions = config.get("matryoshka_dimensions") or ()  # both words are those vLLM reads
    return SentenceEncoder(
        pooling=_pooling(folder / modules["Pooling"]) if "Pooling" in modules else DEFAULT_POOLING,
        normalize="Normalize" in modules,
        max_tokens=transformer.get("max_seq_length"),
        lower_case=bool(transformer.get("do_lower_case", False)),
        dimensions=_read(cut).get("truncate_dim") if cut.is_file() else None,
        matryoshka=bool(dimensions or config.get("is_matryoshka")),
        matryoshka_dimensions=tuple(sorted(dimensions)),
    )


def _modules(folder: Path) -> dict[str, str]:
    """The folder of each module by the last word of its type."""
    path = folder / MODULES_FILE
    if not path.is_file():
        return {}
    modules = {
        str(module["type"]).rpartition(".")[2]: str(module["path"]) for module in _read(path)
    }
    for name in modules.keys() - {"Transformer", "Pooling", "Normalize"}:
        raise _unsupported(path, f"the module {name}")
    if modules.get("Transformer") != "":
        raise _unsupported(path, "a transformer elsewhere than in the model's own folder")
    return modules


def _transformer_config(folder: Path) -> Mapping[str, Any]:
    found = [path for name in TRANSFORMER_FILES for path in sorted(folder.glob(name))]
    return _read(found[0]) if found else {}


def _pooling(folder: Path) -> str:
    path = folder / "config.json"
    config = _read(path)
    if not config.get("include_prompt", True):
        raise _unsupported(path, "include_prompt: false")
    modes = [name for name, wanted in config.items() if name.startswith(OLD_MODE) and wanted]
    given = config.get("pooling_mode") or [POOLING_MODES.get(name, name) for name in modes]
    asked = given if isinstance(given, str) else "+".join(given) or DEFAULT_POOLING
    if asked not in POOLINGS:
        raise _unsupported(path, f"{asked} pooling")
    return asked


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"model_name: {path} cannot be read ({error}); copy it anew from the model's home",
            param="model_name",
        ) from error


def _unsupported(path: Path, what: str) -> ConfigError:
    return ConfigError(
        f"model_name: {path} asks for {what}, which is not done here; choose a model with "
        f"{', '.join(sorted(POOLINGS))} pooling and nothing but normalisation after it",
        param="model_name",
    )

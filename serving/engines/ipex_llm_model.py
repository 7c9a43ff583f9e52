"""IPEX-LLM's low-bit models: quantised from a checkpoint, written to a folder, read back from it.

Weights are kept in safetensors, in the library's own packing: what the library itself writes is
pickled, and pickled files can run code when they are opened.
"""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from serving.engines.transformers_model import CausalModel, first_line
from serving.errors import ConfigError
from serving.memory import check_memory

LOW_BITS = {"int8": "sym_int8", "int4": "sym_int4"}  # ours and the library's words
WEIGHTS_FILE = "model.safetensors"
READABLE = 0o644  # safetensors leaves it readable to whoever wrote it only
LAST_ONLY = "optimize_lm_head"  # of the library's last product: whether of the last token only
MIN_SHARE = 0.5  # of the weights that must be in layers that are quantised
LOW_BIT = "bigdl_transformers_low_bit"  # where the library notes it in config.json


class LowBitModel(CausalModel):
    """A loaded model; the config of transformers 4 is that of the text part already."""

    def __init__(self, model: Any, num_threads: int) -> None:
        super().__init__(model, model.config)
        self._num_threads = num_threads
        # The library takes any product as wide as the vocabulary for the last one.
        for each in model.modules():
            if hasattr(each, LAST_ONLY):
                setattr(each, LAST_ONLY, False)
        self._head = model.get_output_embeddings()

    def __call__(self, input_ids: Any, *, all_logits: bool = True, **words: Any) -> Any:
        """See CausalModel. May be called on any thread."""
        torch.set_num_threads(self._num_threads)  # OpenMP's number is that of the calling thread
        if hasattr(self._head, LAST_ONLY):
            setattr(self._head, LAST_ONLY, not all_logits)
        return super().__call__(input_ids, all_logits=all_logits, **words)

    def read(self, token_ids: Any) -> Any:
        """See CausalModel: with an empty cache, because the library's attention wants one."""
        with torch.inference_mode():
            return self(token_ids[None], use_cache=True).logits[0].float()


def quantise(folder: Path, data_type: str, *, trust_remote_code: bool) -> Any:
    """The checkpoint in a folder, its products in int8 or int4 and the rest in float32.

    The folder speaks the words of transformers 4.
    """
    with quietly():
        from ipex_llm.transformers import AutoModelForCausalLM

        model = AutoModelForCausalLM.from_pretrained(
            str(folder),
            load_in_low_bit=LOW_BITS[data_type],
            trust_remote_code=trust_remote_code,
            local_files_only=True,
            use_safetensors=True,
        )
    _check_share(model)
    return model


def _check_share(model: Any) -> None:
    """Raises ConfigError for a model whose layers are mostly of kinds that the library leaves."""
    low_bit = sum(each.weight_length for each in model.modules() if hasattr(each, "weight_length"))
    total = low_bit + sum(each.numel() for each in model.parameters() if each.is_floating_point())
    total -= sum(each.numel() for each in model.get_input_embeddings().parameters())
    if low_bit < MIN_SHARE * total:
        raise ConfigError(
            f"it reaches {low_bit / max(1, total):.0%} of the weights of a {type(model).__name__}, "
            "whose other layers are of kinds of their own"
        )


def save(model: Any, folder: Path) -> None:
    """The weights and the config.json of a quantised model."""
    state = {name: tensor.detach().contiguous() for name, tensor in model.state_dict().items()}
    save_file(state, folder / WEIGHTS_FILE)
    (folder / WEIGHTS_FILE).chmod(READABLE)
    model.config.save_pretrained(folder)


def load(folder: Path, *, trust_remote_code: bool, num_threads: int) -> LowBitModel:
    """What `save` has written; blocks. Raises ConfigError where that is broken or does not fit."""
    try:
        check_memory(folder, (folder / WEIGHTS_FILE).stat().st_size)
        with quietly():
            model = _empty(folder, trust_remote_code)
            model.load_state_dict(load_file(folder / WEIGHTS_FILE), strict=True, assign=True)
    except (SafetensorError, OSError, RuntimeError, ValueError, KeyError) as error:
        raise ConfigError(
            f"model_name: IPEX-LLM cannot load {folder} ({first_line(error)}); delete that folder, "
            "and it is made again",
            param="model_name",
        ) from error
    return LowBitModel(model.requires_grad_(False).eval(), num_threads)


def _empty(folder: Path, trust_remote_code: bool) -> Any:
    """The model without its weights."""
    from accelerate import init_empty_weights
    from ipex_llm.ggml.quantize import ggml_tensor_qtype
    from ipex_llm.transformers import low_bit_linear
    from ipex_llm.transformers.convert import ggml_convert_low_bit
    from transformers import AutoConfig, AutoModelForCausalLM

    # From so many rows on it would take another product, which rounds otherwise.
    low_bit_linear.TORCH_LINEAR_THRESHOLD = sys.maxsize
    options = {"trust_remote_code": trust_remote_code}
    config = AutoConfig.from_pretrained(str(folder), local_files_only=True, **options)
    with init_empty_weights():
        model = AutoModelForCausalLM.from_config(config, torch_dtype=torch.float32, **options)
    kind = ggml_tensor_qtype[getattr(config, LOW_BIT)]
    return ggml_convert_low_bit(model, kind, device="meta", torch_dtype=torch.float32)


@contextmanager
def quietly() -> Iterator[None]:
    """Without what old libraries say of each other, and with the log as it was set up."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.getLogger("ipex_llm").setLevel(logging.WARNING)
        try:
            yield
        finally:
            root.handlers[:] = handlers
            root.setLevel(level)

"""A checkpoint that transformers 5 saved, in the words of transformers 4.

Pure functions over the contents of config.json, tokenizer_config.json and tokenizer.json. What
transformers 4 wrote comes out as it went in. Weights are the same for both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from serving.errors import ConfigError

Json = dict[str, Any]

FULL, SLIDING = "full_attention", "sliding_attention"  # layers with a rope of their own
# Tokenizer classes that came with transformers 5, all of which read tokenizer.json.
NEW_CLASSES = frozenset({"TokenizersBackend", "PreTrainedTokenizerFast"})


def config_for_4(config: Mapping[str, Any]) -> Json:
    """config.json as transformers 4 reads it, that of a part (`text_config`) too."""
    old = {
        key: config_for_4(value) if key.endswith("_config") and isinstance(value, dict) else value
        for key, value in config.items()
        if key not in ("dtype", "rope_parameters", "transformers_version")
    }
    if "dtype" in config:
        old.setdefault("torch_dtype", config["dtype"])
    if config.get("rope_parameters"):
        old.update(_rope_for_4(config["rope_parameters"]))
    return old


def _rope_for_4(parameters: Mapping[str, Any]) -> Json:
    """rope_theta and rope_scaling; two of the first where two kinds of layers rotate apart."""
    if FULL in parameters or SLIDING in parameters:
        old = _rope_for_4(parameters.get(FULL) or {})
        local = (parameters.get(SLIDING) or {}).get("rope_theta")
        return old if local is None else old | {"rope_local_base_freq": local}
    scaling = dict(parameters)
    old = {
        name: scaling.pop(name)
        for name in ("rope_theta", "partial_rotary_factor")
        if name in scaling
    }
    plain = scaling.get("rope_type", "default") == "default"
    return old | {"rope_scaling": None if plain else scaling}


def tokenizer_config_for_4(config: Mapping[str, Any]) -> Json:
    """tokenizer_config.json as transformers 4 reads it."""
    old = {key: value for key, value in config.items() if key not in ("backend", "is_local")}
    if old.get("tokenizer_class") in NEW_CLASSES:
        old["tokenizer_class"] = "PreTrainedTokenizerFast"
    extra = old.get("extra_special_tokens")
    if isinstance(extra, list):  # a list of tokens in 5, names of tokens in 4
        del old["extra_special_tokens"]
        old.setdefault("additional_special_tokens", extra)
    return old


def tokenizer_for_4_37(tokenizer: Mapping[str, Any]) -> Json:
    """tokenizer.json as tokenizers 0.15 reads it, which is the newest that transformers 4.37 takes.

    Raises ConfigError for what only newer ones can do.
    """
    old = dict(tokenizer)
    model = old.get("model") or {}
    if model.get("ignore_merges"):
        raise _too_new("takes whole words from its vocabulary (ignore_merges)")
    merges = model.get("merges") or []
    if any(" " in part for merge in merges if isinstance(merge, list) for part in merge):
        raise _too_new("has tokens with spaces in its merges")
    if merges:
        pairs = [merge if isinstance(merge, str) else " ".join(merge) for merge in merges]
        old["model"] = {**model, "merges": pairs}
    return old


def _too_new(what: str) -> ConfigError:
    return ConfigError(
        f"model_name: the tokenizer {what}, which tokenizers 0.15 cannot do; choose another engine "
        "for this model",
        param="model_name",
    )

"""A checkpoint that transformers 5 saved, in the words of transformers 4.

Pure functions over the contents of config.json and tokenizer_config.json. What transformers 4
wrote comes out as it went in. Weights and tokenizer.json are the same for both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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

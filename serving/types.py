"""The words every floor shares: what is asked of an engine and what it answers.

Plain frozen data, no behaviour and no imports of ours. `serving.http` turns OpenAI bodies into
these; engines turn these into tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

FinishReason = Literal["stop", "length"]


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a chat; `role` is whatever the model's chat template knows."""

    role: str
    content: str
    name: str | None = None


Prompt = str | tuple[int, ...] | tuple[Message, ...]
"""Text, token ids, or chat messages (rendered by the model's own chat template)."""


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """How the next token is chosen and when to stop; the names are OpenAI's and vLLM's."""

    max_tokens: int | None = None  # what the caller asks; refused when it does not fit
    default_max_tokens: int | None = None  # when the caller is silent; cut to what fits
    min_tokens: int = 0  # end-of-sequence and stops cannot end the text before this many
    temperature: float = 1.0  # 0 is greedy
    top_p: float = 1.0
    top_k: int = 0  # 0: all tokens
    min_p: float = 0.0
    seed: int | None = None
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    repetition_penalty: float = 1.0
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    stop: tuple[str, ...] = ()
    stop_token_ids: tuple[int, ...] = ()
    include_stop_str_in_output: bool = False
    ignore_eos: bool = False
    skip_special_tokens: bool = True
    logprobs: int | None = None  # alternatives listed for each token; None: no logprobs at all
    prompt_logprobs: bool = False  # also for the prompt's tokens (OpenAI's echo with logprobs)


@dataclass(frozen=True, slots=True)
class GenerateRequest:
    """One prompt and how to go on from it, `n` times."""

    request_id: str
    prompt: Prompt
    sampling: SamplingParams = field(default_factory=SamplingParams)
    n: int = 1


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A token's text and natural-log probability, and the likeliest tokens in its place.

    `logprob` is None for a prompt's first token, which nothing predicts. `top` holds
    (token id, text, logprob), likeliest first.
    """

    token_id: int
    text: str
    logprob: float | None
    top: tuple[tuple[int, str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class PromptInfo:
    """What became of the prompt; carried by the first chunk of a request."""

    num_tokens: int
    text: str
    queue_s: float = 0.0  # time the request waited inside the engine before it ran
    logprobs: tuple[TokenLogprob, ...] | None = None


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of one choice's answer.

    `num_tokens` counts the tokens generated since this choice's previous chunk: it may be more
    than `token_ids` shows (a stop string is cut away) and may come with no text yet (half a
    character). Their sum is the choice's completion_tokens.
    """

    index: int = 0  # which of the request's n choices
    text: str = ""
    token_ids: tuple[int, ...] = ()
    num_tokens: int = 0
    logprobs: tuple[TokenLogprob, ...] | None = None
    finish_reason: FinishReason | None = None  # set on the last chunk of a choice
    prompt: PromptInfo | None = None  # set on the first chunk of a request


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """Everything an engine may need to know to load one model; handed down whole."""

    model_source: Path  # a local folder: fetching from a hub happens above the engine
    data_type: str = "int8"
    max_num_seqs: int = 8  # sequences decoded together (the deployment's batch_size)
    max_model_len: int | None = None  # None: what the model's config allows, as far as fits
    kv_cache_bytes: int | None = None  # None: the engine's own default
    num_threads: int = 1
    trust_remote_code: bool = False
    engine_kwargs: Mapping[str, Any] = field(default_factory=dict)  # checked by the engine


@dataclass(frozen=True, slots=True)
class Occupancy:
    """How busy an engine is, for metrics and /health."""

    num_running: int = 0  # sequences that hold KV memory
    num_waiting: int = 0  # sequences that wait for a row or for KV memory
    kv_bytes_used: int = 0
    kv_bytes_total: int = 0
    num_draft_tokens: int = 0  # verified since the engine was loaded, and how many were right
    num_accepted_tokens: int = 0

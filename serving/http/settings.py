"""Everything the HTTP face of one replica can be told; the deployment fills it in."""

from __future__ import annotations

from dataclasses import dataclass

from serving.errors import ConfigError

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceSettings:
    """Names, limits and defaults. ConfigError names the first setting that cannot work."""

    model_id: str  # what callers say in `model`, and what every answer says
    other_names: tuple[str, ...] = ()  # further names that callers may use for the same model
    max_num_seqs: int = 8  # sequences running together (the deployment's batch_size)
    max_queued_requests: int = 128  # requests waiting behind those; 0: none may wait
    request_timeout_s: float | None = 600.0  # queue and generation together; None: no limit
    max_body_bytes: int = 4 * MIB
    max_prompts: int = 1024  # in one request to /v1/completions
    max_inputs: int = 2048  # in one request to /v1/embeddings; OpenAI's own limit
    coalesce_ms: float = 0.0  # streams: what gathers in this window is one write; 0: at once
    loopback_only: bool = False  # refuse peers that are not on this machine
    default_max_tokens: int | None = None  # None: each route's own default
    default_temperature: float | None = None  # None: each route's own default

    def __post_init__(self) -> None:
        if not self.model_id:
            raise ConfigError("model_id: it may not be empty", param="model_id")
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if value is not None and value < least:
                raise ConfigError(f"{name}: {value} is below {least}", param=name)

    @property
    def model_names(self) -> tuple[str, ...]:
        """All names the model answers to, the model_id first."""
        return (self.model_id, *self.other_names)


_LEAST = {
    "max_num_seqs": 1,
    "max_queued_requests": 0,
    "request_timeout_s": 0.001,
    "max_body_bytes": 1,
    "max_prompts": 1,
    "max_inputs": 1,
    "coalesce_ms": 0,
    "default_max_tokens": 1,
    "default_temperature": 0,
}

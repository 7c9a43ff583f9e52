"""Everything that can go wrong, as one small tree; each error knows its HTTP status.

ServingError
├── ConfigError                a setting of the operator is wrong (never caused by a request)
├── InvalidRequest        400  a field of the request is wrong; `param` names it
│   ├── UnsupportedField  400  a field we know but do not honour here
│   └── ContextTooLong    400  prompt and max_tokens do not fit the model
├── Unauthorized          401
├── Forbidden             403  this peer may not speak to this replica
├── ModelNotFound         404
├── BodyTooLarge          413
├── QueueFull             429  with an honest Retry-After
├── ClientGone            499  nobody is left to answer
├── EngineLoading         503  says what it is doing
├── EngineDead            503  the replica will be replaced
└── RequestTimeout        504  the work was cancelled
"""

from __future__ import annotations

from typing import ClassVar


class ServingError(Exception):
    """One clear sentence for the caller, with the fix in it."""

    status: ClassVar[int] = 500
    type: ClassVar[str] = "server_error"
    code: ClassVar[str | None] = None

    def __init__(self, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param

    @property
    def headers(self) -> dict[str, str]:
        """Response headers that belong to this error."""
        return {}

    def body(self) -> dict[str, object]:
        """OpenAI's error object."""
        error = {"message": self.message, "type": self.type, "param": self.param, "code": self.code}
        return {"error": error}


class ConfigError(ServingError):
    """A setting cannot work; raised while starting, shown to the operator."""

    type = "configuration_error"


class InvalidRequest(ServingError):
    status = 400
    type = "invalid_request_error"


class UnsupportedField(InvalidRequest):
    code = "unsupported_field"


class ContextTooLong(InvalidRequest):
    code = "context_length_exceeded"


class Unauthorized(ServingError):
    status = 401
    type = "authentication_error"
    code = "invalid_api_key"

    @property
    def headers(self) -> dict[str, str]:
        return {"www-authenticate": "Bearer"}


class Forbidden(ServingError):
    status = 403
    type = "permission_error"


class ModelNotFound(ServingError):
    status = 404
    type = "invalid_request_error"
    code = "model_not_found"


class BodyTooLarge(ServingError):
    status = 413
    type = "invalid_request_error"
    code = "request_too_large"


class QueueFull(ServingError):
    status = 429
    type = "rate_limit_error"
    code = "queue_full"

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s

    @property
    def headers(self) -> dict[str, str]:
        return {"retry-after": str(self.retry_after_s)}


class ClientGone(ServingError):
    status = 499
    type = "client_closed_request"


class EngineLoading(ServingError):
    status = 503
    type = "service_unavailable"
    code = "loading"

    @property
    def headers(self) -> dict[str, str]:
        return {"retry-after": "2"}


class EngineDead(ServingError):
    status = 503
    type = "service_unavailable"
    code = "engine_dead"


class RequestTimeout(ServingError):
    status = 504
    type = "timeout_error"
    code = "timeout"

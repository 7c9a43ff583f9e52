"""The arms of a comparison: where each answers, and how it is started if that is our work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

PORT = "{port}"
OWN_URL = f"http://127.0.0.1:{PORT}"  # where a command answers unless it is said otherwise
READY_PATH = "/health"
START_TIMEOUT_S = 300.0


@dataclass(frozen=True, slots=True)
class Arm:
    """One server under comparison; without a command it is there already."""

    name: str
    url: str
    command: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict, repr=False)  # may hold a key
    ready: str = READY_PATH
    start_timeout_s: float = START_TIMEOUT_S
    per_round: bool = False  # started afresh for every round

    @property
    def started_by_us(self) -> bool:
        return bool(self.command)

    def on_port(self, port: int) -> Arm:
        """With every `{port}` filled in."""

        def fill(text: str) -> str:
            return text.replace(PORT, str(port))

        return replace(
            self,
            url=fill(self.url),
            command=tuple(fill(part) for part in self.command),
            env={name: fill(value) for name, value in self.env.items()},
        )

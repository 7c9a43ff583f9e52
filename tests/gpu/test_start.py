"""A replica that starts says so, and how far it is, at its own port."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.gpu.serving import START_S, config_file
from tests.inference.running import Running, wait_until
from tests.vllm.served import MODEL, VLLM_ENVIRONMENT
from tests.vllm.test_serve import loading


def test_health_says_loading_and_then_ready(home: Path, tmp_path: Path) -> None:
    heard: list[dict[str, Any]] = []

    def hear() -> bool:
        told = loading(server)
        heard.extend([] if told is None else [told])
        return bool(heard)

    config = config_file(tmp_path, gpu_memory_utilization=0.3)
    with Running((str(config),), home, VLLM_ENVIRONMENT) as server:
        wait_until(hear, patience_s=START_S)
        server.wait_until_ready(START_S)
        assert server.health()["status"] == "ready"
    assert heard[0]["doing"]
    assert (heard[0]["model"], heard[0]["engine"]) == (MODEL, "vllm")

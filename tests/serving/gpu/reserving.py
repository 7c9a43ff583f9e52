"""A Ray with two GPUs that are only numbers, and actors like replicas that got none of them.

`python -m tests.serving.gpu.reserving FOLDER` prints what each of them came to see.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

import ray

from serving.errors import ConfigError
from serving.gpu.reserved_gpus import reserve_gpus


class Replica:
    async def reserve(self, num_gpus: float) -> str:
        try:
            self._held = await reserve_gpus(num_gpus, patience_s=5)
        except ConfigError as error:
            return error.message
        return os.environ["CUDA_VISIBLE_DEVICES"]


def ask(replica: Any, num_gpus: float) -> Any:
    return ray.get(replica.reserve.remote(num_gpus))


def free_gpus() -> float:
    return ray.available_resources().get("GPU", 0.0)


def main(folder: str) -> dict[str, Any]:
    ray.init(
        address="local",
        num_cpus=2,
        num_gpus=2,
        include_dashboard=False,
        object_store_memory=80 * 1024 * 1024,
        _temp_dir=folder,
    )
    made = ray.remote(Replica)
    first, second, third = (made.options(num_cpus=0).remote() for _ in range(3))
    seen = {"first": ask(first, 1), "half": ask(second, 0.5), "too many": ask(third, 1)}
    seen["free"] = free_gpus()
    seen["never"] = ask(third, 3)
    ray.kill(first)  # what it held comes back with its end
    deadline = time.monotonic() + 30
    while free_gpus() < 1 and time.monotonic() < deadline:
        time.sleep(0.1)
    seen["again"] = ask(third, 1)
    ray.shutdown()
    return seen


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1])))

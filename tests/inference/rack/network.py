"""A network of nodes on one machine, each with an address and a file system of its own; as root.

Whoever calls is in a network, mount and process namespace of its own (`OWN`), which is the hub:
all that is made here ends with it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.inference.manifest.committed import ROOT

OWN = ("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
HUB = "10.77.0.254"
BRIDGE = "hub"
SHARED_MEMORY = "256m"

# $0: a node's own folder, $1: where it sees it; the rest is its command.
PRIVATE = f"""
mount --bind "$0" "$1" && shift &&
mount -t tmpfs -o size={SHARED_MEMORY} tmpfs /dev/shm &&
exec "$@"
"""


def refusal() -> str | None:
    """Why this machine does not let us make one; None where it does."""
    done = subprocess.run(
        [*OWN, sys.executable, "-c", f"from {__name__} import *; make_hub(); make_node(1)"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return None if done.returncode == 0 else done.stderr.partition("\n")[0]


def make_hub() -> None:
    """The bridge that joins all nodes. `ip` keeps its namespaces' names below /run."""
    assert os.getpid() == 1, "the machine's own network and /run stay as they are: start in OWN"
    _run("mount -t tmpfs tmpfs /run")
    _run("ip link set lo up")
    _run(f"ip link add {BRIDGE} type bridge")
    _run(f"ip address add {HUB}/24 dev {BRIDGE}")
    _run(f"ip link set {BRIDGE} up")


def make_node(number: int) -> str:
    """One node's network, 1 to 253; its address."""
    name, address = f"node{number}", address_of(number)
    _run(f"ip netns add {name}")
    _run(f"ip link add port{number} type veth peer name eth0 netns {name}")
    _run(f"ip link set port{number} master {BRIDGE} up")
    _run(f"ip -n {name} address add {address}/24 dev eth0")
    _run(f"ip -n {name} link set eth0 up")
    _run(f"ip -n {name} link set lo up")
    return address


def address_of(number: int) -> str:
    return HUB.rpartition(".")[0] + f".{number}"


def ray_inside(number: int, folder: Path, seen_at: Path) -> list[str]:
    """The command `ray` in a node, whose own `folder` stands where others have theirs."""
    return [
        *("ip", "netns", "exec", f"node{number}"),
        *("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"),
        *("sh", "-c", PRIVATE, str(folder), str(seen_at)),
        *(sys.executable, "-m", "ray.scripts.scripts"),
    ]


def _run(command: str) -> None:
    subprocess.run(command.split(), check=True)

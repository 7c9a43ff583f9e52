"""Builds and runs our images without any daemon: buildah on a Debian made here, podman to run.

What only this machine needs to install packages (a proxy's certificates, pip's configuration) goes
into that Debian, never into a Dockerfile.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).parents[2]
TOOLS = ("buildah", "mmdebstrap", "podman", "runc")
BASE = "localhost/anynode-test-base"
DEBIAN, PYTHON = "bookworm", "3.11"
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"

# HAProxy wants 10 270 files; Ray's own pages need more shared memory than containers get unasked.
LIMITS = ("--ulimit=nofile=16384:16384", "--ulimit=nproc=4096:4096", "--shm-size=512m")
# As in our manifests: nothing but these can be written to.
READ_ONLY = ("--read-only", "--tmpfs=/tmp:rw,mode=1777", "--tmpfs=/home/anynode:rw,mode=1777")


def missing() -> str | None:
    """Why images cannot be built here; None if they can."""
    if os.geteuid() != 0:
        return "building images without a daemon needs root"
    lacking = [tool for tool in TOOLS if shutil.which(tool) is None]
    return (
        f"not installed: {' '.join(lacking)} (apt install {' '.join(TOOLS)})" if lacking else None
    )


class Builder:
    """Images and containers in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._storage = ("--root", str(folder / "root"), "--runroot", str(folder / "run"))
        config = folder / "containers.conf"
        config.write_text(
            '[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\nruntime = "runc"\n'
        )
        self._env = os.environ | {"CONTAINERS_CONF": str(config)}

    def make_base(self) -> None:
        """A Debian with Python, as `python:3.12-slim` is one."""
        archive = self._folder / "base.tar"
        packages = "python3,python3-venv,ca-certificates,bash"
        run(["mmdebstrap", "--variant=minbase", f"--include={packages}", DEBIAN, str(archive)])
        container = self._buildah("from", "scratch")
        self._buildah("add", container, str(archive), "/")
        if Path(CERTIFICATES).is_file():
            self._buildah("copy", container, CERTIFICATES, CERTIFICATES)
        config = self._folder / "pip.conf"
        config.write_text(pip_configuration())
        self._buildah("copy", container, str(config), "/etc/pip.conf")
        self._buildah("commit", "--rm", container, BASE)
        archive.unlink()

    def build(self, name: str) -> str:
        """The image of docker/Dockerfile.NAME on our Debian."""
        image = f"localhost/anynode-{name}"
        volumes = [f"--volume={folder}:{folder}:ro" for folder in package_folders()]
        self._buildah(
            "bud", "--isolation=chroot", "--layers", "--format=docker", *volumes,
            f"--build-arg=BASE={BASE}", f"--build-arg=PYTHON={PYTHON}",
            f"--file=docker/Dockerfile.{name}", f"--tag={image}", ".",
        )  # fmt: skip
        return image

    @contextmanager
    def running(self, image: str, *arguments: str, options: Sequence[str] = ()) -> Iterator[str]:
        """A container of it, in a network with nothing but itself."""
        container = self.podman(
            "run", "--detach", "--network=none", "--no-healthcheck", *LIMITS, *READ_ONLY, *options,
            image, *arguments,
        )  # fmt: skip
        try:
            yield container
        finally:
            self.podman("rm", "--force", "--time=10", container)

    def podman(self, *arguments: str, given: str | None = None) -> str:
        """What podman prints; raises AssertionError with its complaint."""
        return run(["podman", *self._storage, *arguments], env=self._env, given=given)

    def _buildah(self, *arguments: str) -> str:
        return run(["buildah", *self._storage, *arguments], env=self._env, cwd=ROOT)

    def remove_all(self) -> None:
        """Every container and image of this folder."""
        self.podman("rm", "--all", "--force", "--time=0")
        self.podman("rmi", "--all", "--force")


def pip_configuration() -> str:
    """pip's configuration here, from its files and variables, as one file."""
    lines = [f"{key} = {value}" for key, value in pip_settings().items()]
    return "\n".join(["[global]", *lines, ""])


def pip_settings() -> dict[str, str]:
    """What this machine's pip is told; not which versions it may choose."""
    listed = run([sys.executable, "-m", "pip", "config", "list"])
    found = re.findall(r"^(?:global|install|:env:)\.([\w-]+)='(.*)'$", listed, re.MULTILINE)
    settings = {key: value.replace(r"\n", " ") for key, value in found if key != "constraint"}
    return settings | ({"cert": CERTIFICATES} if "cert" in settings else {})


def package_folders() -> list[str]:
    """Folders of this machine that pip looks for packages in."""
    settings = pip_settings()
    named = " ".join(
        settings.get(key, "") for key in ("find-links", "extra-index-url", "index-url")
    )
    folders = set[str]()
    for place in named.split():
        url = urlsplit(place)
        if url.scheme == "file":  # of an index, whose files are beside its pages
            folders.add(str(Path(url.path).parent))
        elif not url.scheme and Path(place).is_dir():
            folders.add(place)
    return sorted(folders)


def run(
    command: list[str],
    *,
    env: dict[str, str] | None = None,
    cwd: Path | None = None,
    given: str | None = None,
) -> str:
    """What it prints; raises AssertionError with the end of its output."""
    done = subprocess.run(
        command, env=env, cwd=cwd, input=given, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout.strip()

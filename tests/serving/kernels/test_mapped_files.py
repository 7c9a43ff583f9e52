"""A mapped file's memory is given back, and its contents are still there."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from serving.kernels.mapped_files import forget_mapped

SIZE = 4 * 2**20
SMAPS = Path("/proc/self/smaps")


@contextmanager
def mapped(path: Path) -> Iterator[mmap.mmap]:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as memory:
        yield memory


def resident_bytes(path: Path) -> int:
    """How much of the file's mappings is in this process's memory."""
    total, ours = 0, False
    for line in SMAPS.read_text().splitlines():
        if line.startswith("Rss:"):
            total += int(line.split()[1]) * 1024 if ours else 0
        elif not line.split()[0].endswith(":"):  # a mapping: its span, then its path
            ours = line.endswith(f" {path}")
    return total


def write(path: Path, size: int = SIZE) -> bytes:
    contents = os.urandom(size)
    path.write_bytes(contents)
    return contents


@pytest.mark.parametrize("name", ["weights", "model of mine.data", "Gewichte für  zwei (deleted)"])
def test_the_memory_is_given_back_and_the_contents_stay(tmp_path, name):
    path = tmp_path / name
    contents = write(path)
    with mapped(path) as memory:
        assert memory[:] == contents
        assert resident_bytes(path) == SIZE
        assert forget_mapped(path) == SIZE
        assert resident_bytes(path) == 0
        assert memory[:] == contents
        assert resident_bytes(path) == SIZE


def test_all_mappings_of_a_file_are_given_back(tmp_path):
    path = tmp_path / "weights"
    contents = write(path)
    with mapped(path) as one, mapped(path) as other:
        assert one[:] == other[:] == contents
        assert forget_mapped(path) == 2 * SIZE
        assert resident_bytes(path) == 0
        assert one[:] == other[:] == contents


def test_a_size_that_is_no_multiple_of_a_page(tmp_path):
    path = tmp_path / "weights"
    contents = write(path, SIZE + 100)
    with mapped(path) as memory:
        assert memory[:] == contents
        assert forget_mapped(path) == SIZE + mmap.PAGESIZE
        assert resident_bytes(path) == 0
        assert memory[:] == contents


def test_a_link_to_the_file(tmp_path):
    path, link = tmp_path / "weights", tmp_path / "link"
    contents = write(path)
    link.symlink_to(path)
    with mapped(path) as memory:
        assert memory[:] == contents
        assert forget_mapped(link) == SIZE
        assert resident_bytes(path) == 0


def test_other_files_are_left_alone(tmp_path):
    path, other = tmp_path / "weights", tmp_path / "weights of another"
    write(path)
    contents = write(other)
    with mapped(other) as memory:
        assert memory[:] == contents
        assert forget_mapped(path) == 0
        assert resident_bytes(other) == SIZE


def test_a_file_that_is_not_mapped(tmp_path):
    write(tmp_path / "weights")
    assert forget_mapped(tmp_path / "weights") == 0
    assert forget_mapped(tmp_path / "nothing") == 0

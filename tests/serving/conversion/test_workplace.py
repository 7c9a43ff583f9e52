"""Conversions are atomic, go on where they were killed, and never run twice at once."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from serving.conversion.source import read_checkpoint
from serving.conversion.workplace import check_room, identity, workplace
from serving.errors import ConfigError

ROOT = Path(__file__).parents[3]
DEMO_MODEL = ROOT / "models" / "anynode-demo"
REQUEST = {"data_type": "int8"}


def write(text):
    return lambda folder: (folder / "file").write_text(text)


def convert(target, request=REQUEST, text="made", said=None):
    said = [] if said is None else said
    with workplace(target, request, said.append) as place:
        if place is None:
            return said
        first = place.stage("first", write("first"))
        assert not target.exists() or (target / "file").read_text() != text
        place.publish(place.stage("second", write(text)))
        assert first.parent != target.parent
    return said


def left_over(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_target_appears_whole_and_nothing_else_stays(tmp_path):
    assert convert(tmp_path / "onnx") == ["first", "second"]
    assert (tmp_path / "onnx" / "file").read_text() == "made"
    assert left_over(tmp_path) == [".converting-onnx.lock", "onnx"]


def test_a_target_that_is_there_is_replaced_only_by_a_whole_one(tmp_path):
    convert(tmp_path / "onnx", text="old")
    with pytest.raises(RuntimeError), workplace(tmp_path / "onnx", REQUEST, print) as place:
        place.stage("first", write("half"))
        raise RuntimeError("the converter failed")
    assert (tmp_path / "onnx" / "file").read_text() == "old"
    convert(tmp_path / "onnx", text="new")
    assert (tmp_path / "onnx" / "file").read_text() == "new"


def test_a_failed_stage_is_done_again_and_a_finished_one_is_not(tmp_path):
    def fail(folder):
        (folder / "half").touch()
        raise RuntimeError

    with pytest.raises(RuntimeError), workplace(tmp_path / "onnx", REQUEST, print) as place:
        place.stage("first", write("first"))
        place.stage("second", fail)
    assert not (tmp_path / "onnx").exists()
    assert convert(tmp_path / "onnx") == ["first: finished before", "second"]
    assert left_over(tmp_path / "onnx") == ["file"]


def test_one_killed_after_the_rename_begins_again(tmp_path):
    with pytest.raises(RuntimeError), workplace(tmp_path / "onnx", REQUEST, print) as place:
        place.stage("first", write("first"))
        place.stage("second", write("old")).rename(tmp_path / "onnx")
        raise RuntimeError
    assert convert(tmp_path / "onnx") == ["first: finished before", "second"]
    assert (tmp_path / "onnx" / "file").read_text() == "made"


def test_what_was_begun_for_another_request_is_not_gone_on_with(tmp_path):
    with pytest.raises(RuntimeError), workplace(tmp_path / "onnx", REQUEST, print) as place:
        place.stage("first", write("first"))
        raise RuntimeError
    assert convert(tmp_path / "onnx", {"data_type": "int4"}) == ["first", "second"]


def test_a_full_disk_is_one_sentence_and_leaves_nothing(tmp_path):
    def fill(folder):
        (folder / "much").touch()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with (
        pytest.raises(ConfigError, match=r"the disk of .* is full; nothing was left"),
        workplace(tmp_path / "onnx", REQUEST, print) as place,
    ):
        place.stage("first", fill)
    assert left_over(tmp_path) == [".converting-onnx.lock"]


def test_the_second_of_two_waits_and_takes_what_the_first_made(tmp_path):
    held, go_on = threading.Event(), threading.Event()
    said: list[str] = []

    def slowly(folder):
        write("made")(folder)
        held.set()
        assert go_on.wait(10)

    def first():
        with workplace(tmp_path / "onnx", REQUEST, lambda _: None) as place:
            place.publish(place.stage("first", slowly))

    threads = [threading.Thread(target=first)]
    threads[0].start()
    assert held.wait(10)
    threads.append(
        threading.Thread(target=convert, args=[tmp_path / "onnx"], kwargs={"said": said})
    )
    threads[1].start()
    while not said:
        time.sleep(0.01)
    go_on.set()
    for thread in threads:
        thread.join(10)
    assert said == ["waiting for another converter of this model"]
    assert (tmp_path / "onnx" / "file").read_text() == "made"


def test_a_killed_converter_keeps_nobody_waiting_and_its_finished_stages(tmp_path):
    program = f"""
import sys, time
from pathlib import Path
from serving.conversion.workplace import workplace
with workplace(Path({str(tmp_path / "onnx")!r}), {REQUEST}, lambda _: None) as place:
    place.stage("first", lambda folder: (folder / "file").write_text("first"))
    print("at it", flush=True)
    place.stage("second", lambda folder: time.sleep(60))
"""
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "at it\n"
        other.send_signal(signal.SIGKILL)
    assert convert(tmp_path / "onnx") == ["first: finished before", "second"]


@pytest.mark.parametrize(
    ("disk", "memory", "words"),
    [
        (10**15, 0, "needs 1000000.0 GB of disk .* or name --output elsewhere"),
        (0, 10**15, "needs 1000000.0 GB of memory .* on a machine with more"),
    ],
)
def test_too_little_room_is_said_before_anything_begins(tmp_path, disk, memory, words):
    checkpoint = read_checkpoint(DEMO_MODEL)
    with pytest.raises(ConfigError, match=words):
        check_room(checkpoint, tmp_path / "onnx", disk_bytes=disk, memory_bytes=memory)
    check_room(checkpoint, tmp_path / "onnx", disk_bytes=1, memory_bytes=1)


def test_another_version_or_another_file_is_another_conversion():
    base = identity(DEMO_MODEL, "int8", ["numpy"])
    assert base == identity(DEMO_MODEL, "int8", ["numpy"])
    assert base != identity(DEMO_MODEL, "int4", ["numpy"])
    assert base != identity(DEMO_MODEL, "int8", ["numpy", "httpx"])


def test_one_that_is_abandoned_leaves_what_was_there(tmp_path):
    convert(tmp_path / "onnx", text="old")
    with workplace(tmp_path / "onnx", REQUEST, print) as place:
        place.abandon()
    assert (tmp_path / "onnx" / "file").read_text() == "old"
    assert left_over(tmp_path) == [".converting-onnx.lock", "onnx"]

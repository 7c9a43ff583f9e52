"""GPUs by what their vendors' tools say, and by tools that say nothing."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from inference import gpus_here
from inference.gpus_here import Gpu, amd_gpus, nvidia_gpus

MI300X = Gpu("AMD Instinct MI300X", "AMD", 206141652992)


def test_nvidia_smi_s_words_are_read() -> None:
    said = "NVIDIA A100-SXM4-80GB, 81920\nTesla T4, [N/A]\n\n"
    assert nvidia_gpus(said) == [
        Gpu("NVIDIA A100-SXM4-80GB", "NVIDIA", 80 * 2**30),
        Gpu("Tesla T4", "NVIDIA", None),
    ]
    assert nvidia_gpus("") == []


@pytest.mark.parametrize("heading", ["Card Series", "Card series"])
def test_rocm_smi_s_words_are_read_in_old_and_new_spelling(heading: str) -> None:
    card = f'{{"VRAM Total Memory (B)": "206141652992", "{heading}": "AMD Instinct MI300X"}}'
    said = f'WARNING: low power\n{{"card0": {card}, "card1": {card}, "system": {{}}}}'
    assert amd_gpus(said) == [MI300X, MI300X]


@pytest.mark.parametrize("said", ["", "No AMD GPUs", '{"card0": {'])
def test_what_is_no_list_of_cards_is_none(said: str) -> None:
    assert amd_gpus(said) == []


def test_a_tool_that_hangs_holds_nobody_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\nexec sleep 60\n")
    tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(gpus_here, "TIMEOUT_S", 0.05)
    assert gpus_here.gpus_here() == []

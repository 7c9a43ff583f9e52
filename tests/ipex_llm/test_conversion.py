"""Checkpoints that transformers 5 saved, what the library cannot do, and who converts when."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from safetensors.torch import load_file

from serving.conversion.to_ipex_llm import ensure_converted
from serving.engines.ipex_llm import IpexLlmEngine
from serving.engines.ipex_llm_model import WEIGHTS_FILE
from serving.errors import ConfigError
from serving.types import EngineSettings
from tests.contract.engine_contract import DEMO_MODEL, collect, request, text_of
from tests.ipex_llm.checkpoints import saved
from tests.ipex_llm.conftest import FOLDERS, convert, copy_checkpoint

ROOT = Path(__file__).parents[2]


def edit(folder, name="config.json", **changes):
    old = json.loads((folder / name).read_text())
    (folder / name).write_text(json.dumps({**old, **changes}))


def with_tokenizer(folder):
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(DEMO_MODEL / name, folder)
    return folder


def answer(folder, **changes):
    async def scenario():
        engine = IpexLlmEngine(EngineSettings(folder, max_model_len=256, **changes))
        await engine.load()
        try:
            return text_of(await collect(engine, request()))
        finally:
            await engine.unload()

    return asyncio.run(scenario())


def modified(folder) -> int:
    return (folder / WEIGHTS_FILE).stat().st_mtime_ns


def saved_by_5(folder):
    """The demo model's checkpoint in the words of transformers 5, as that version writes them."""
    copy_checkpoint(folder)
    config = json.loads((folder / "config.json").read_text())
    for word in ("rope_theta", "rope_scaling", "torch_dtype"):
        del config[word]
    config |= {
        "dtype": "bfloat16",
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
        "transformers_version": "5.23.0",
    }
    (folder / "config.json").write_text(json.dumps(config))
    tokens = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "chat_template.jinja").write_text(tokens.pop("chat_template"))
    tokens |= {"tokenizer_class": "TokenizersBackend", "backend": "tokenizers", "is_local": True}
    (folder / "tokenizer_config.json").write_text(json.dumps(tokens))
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    tokenizer["model"]["merges"] = [each.split(" ") for each in tokenizer["model"]["merges"]]
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    return folder


def test_a_checkpoint_of_transformers_5_is_the_same_model(tmp_path, converted):
    folder = saved_by_5(tmp_path / "model")
    new, old = (load_file(convert(folder) / WEIGHTS_FILE), load_file(made(converted)))
    assert new.keys() == old.keys()
    assert all(new[name].equal(old[name]) for name in new)
    assert answer(folder) == answer(converted)


def made(folder, data_type="int8") -> Path:
    return folder / FOLDERS[data_type] / WEIGHTS_FILE


def test_the_command_makes_a_folder_that_holds_all_that_serving_reads(tmp_path):
    folder = copy_checkpoint(tmp_path / "model")
    command = [sys.executable, "-m", "serving.conversion", str(folder), "--engine", "ipex-llm"]
    command += ["--data-type", "int4"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert re.search(r"ipex-llm-int4: .* logits off by \d+\.\d% of their spread", done.stdout)
    names = {path.name for path in (folder / "ipex-llm-int4").iterdir()}
    assert {WEIGHTS_FILE, "config.json", "generation_config.json", "tokenizer.json"} <= names
    assert all(not path.is_symlink() for path in (folder / "ipex-llm-int4").iterdir())
    assert made(folder, "int4").stat().st_mode & 0o444 == 0o444
    here, there = ({path.name for path in each.iterdir()} for each in (folder, DEMO_MODEL))
    added = {"ipex-llm-int4", ".converting-ipex-llm-int4.lock"}
    assert here - added == there - {"onnx", "openvino"}


def test_the_first_start_converts_and_the_next_ones_do_not(tmp_path, converted):
    folder = copy_checkpoint(tmp_path / "model")
    first = answer(folder)
    date = modified(folder / "ipex-llm")
    assert answer(folder) == first == answer(converted)
    assert modified(folder / "ipex-llm") == date


def test_auto_takes_what_there_is(converted, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(converted, folder, ignore=shutil.ignore_patterns("ipex-llm"))
    assert answer(folder, data_type="auto") == answer(converted, data_type="int4")
    assert not (folder / "ipex-llm").exists()


def test_another_checkpoint_under_the_same_path_is_converted_anew(tmp_path, converted):
    folder = tmp_path / "model"
    shutil.copytree(converted, folder)
    date = modified(folder / "ipex-llm")
    edit(folder, rms_norm_eps=1e-2)
    ensure_converted(folder, "int8", trust_remote_code=False)
    assert modified(folder / "ipex-llm") != date
    assert json.loads((folder / "ipex-llm" / "config.json").read_text())["rms_norm_eps"] == 1e-2


def test_a_copy_on_another_store_is_not_converted_again(tmp_path, converted):
    folder = tmp_path / "copied" / "elsewhere"
    shutil.copytree(converted, folder)
    os.utime(folder / "model.safetensors", ns=(1, 1))
    date = modified(folder / "ipex-llm")
    assert ensure_converted(folder, "int8", trust_remote_code=False) == folder / "ipex-llm"
    assert modified(folder / "ipex-llm") == date


def test_two_starts_at_once_convert_once(tmp_path, caplog):
    caplog.set_level("INFO")
    folder = copy_checkpoint(tmp_path / "model")
    starts = [
        threading.Thread(
            target=ensure_converted, args=(folder, "int8"), kwargs={"trust_remote_code": False}
        )
        for _ in range(3)
    ]
    for start in starts:
        start.start()
    for start in starts:
        start.join()
    assert len([line for line in caplog.messages if "was made: logits off by" in line]) == 1
    assert not list(folder.glob(".converting-ipex-llm"))
    assert made(folder).is_file()


def test_what_a_killed_converter_left_is_not_loaded(tmp_path, converted):
    folder = tmp_path / "model"
    shutil.copytree(converted, folder, ignore=shutil.ignore_patterns("ipex-llm*"))
    shutil.copytree(converted / "ipex-llm", folder / ".converting-ipex-llm" / "int8")
    half = folder / ".converting-ipex-llm" / "int8" / WEIGHTS_FILE
    half.write_bytes(half.read_bytes()[:1000])
    assert answer(folder) == answer(converted)


def refuse(folder, words, data_type="int8"):
    with pytest.raises(ConfigError, match=words):
        convert(folder, data_type)
    assert not (folder / FOLDERS[data_type]).exists()


def test_weights_cut_short(tmp_path):
    folder = copy_checkpoint(tmp_path / "model")
    (folder / "model.safetensors").write_bytes(b"")
    refuse(folder, r"model\.safetensors is cut short")


def test_a_folder_that_is_no_checkpoint(tmp_path):
    refuse(tmp_path, r"has no config\.json; give the folder")


def test_a_missing_tokenizer(tmp_path):
    refuse(saved(tmp_path / "model", "llama"), "has no tokenizer; copy")


def test_weights_that_are_quantised_already(tmp_path):
    folder = copy_checkpoint(tmp_path / "model")
    edit(folder, quantization_config={"quant_method": "gptq", "bits": 4})
    refuse(folder, "quantised already; give the checkpoint")


def test_an_architecture_that_is_newer_than_the_library(tmp_path):
    folder = copy_checkpoint(tmp_path / "model")
    edit(folder, model_type="qwen3")
    refuse(folder, "could not be converted by IPEX-LLM .*qwen3.* another engine")


def test_sizes_that_its_kernels_do_not_take(tmp_path):
    """It leaves such products as they are, which would be most of this model."""
    sizes = {"hidden_size": 96, "vocab_size": 2048}
    folder = with_tokenizer(saved(tmp_path / "model", "llama", **sizes))
    refuse(folder, r"could not be converted .*reaches \d+% of the weights .* another engine")


def test_layers_that_it_leaves_as_they_are(tmp_path):
    folder = with_tokenizer(saved(tmp_path / "model", "gpt2", n_embd=64, n_layer=2, n_head=4))
    refuse(folder, "could not be converted by IPEX-LLM .* another engine")


def test_kernels_that_are_not_in_the_package(tmp_path):
    sizes = {"attention_hidden_size": 64, "context_length": 256, "vocab_size": 2048}
    refuse(with_tokenizer(saved(tmp_path / "model", "rwkv", **sizes)), "choose another engine")


def test_disk_and_memory_are_looked_at_first(tmp_path, monkeypatch):
    folder = copy_checkpoint(tmp_path / "model")
    monkeypatch.setattr("serving.conversion.workplace.available_bytes", lambda: 1_000)
    refuse(folder, "GB of memory and only 0.0 GB are free")


def test_a_store_that_cannot_be_written_to(tmp_path):
    folder = copy_checkpoint(tmp_path / "model")
    (folder / ".converting-ipex-llm.lock").mkdir()  # what root, too, cannot open
    with pytest.raises(ConfigError, match=f"run `anynode convert {folder} --engine ipex-llm`"):
        ensure_converted(folder, "int8", trust_remote_code=False)

"""Checkpoints become GGUF files that read and answer as they do, or nothing at all."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from serving.conversion.check import compare
from serving.conversion.gguf import convert_gguf
from serving.conversion.gguf_tokenizer import TEXTS
from serving.detokenize import IncrementalDetokenizer
from serving.engines.llama_cpp_decoder import LlamaCppDecoder, Wanted
from serving.engines.llama_cpp_tokenizer import GgufTokenizer
from serving.errors import ConfigError
from serving.gguf_source import gguf_files
from serving.tokenizer import CheckpointTokenizer
from tests.contract.engine_contract import DEMO_MODEL
from tests.llama_cpp.reference import CHECKPOINTS, make_checkpoint, reference_logits
from tests.llama_cpp.tokenizers import LLAMA_3, QWEN, regex, write_byte_level, write_sentencepiece

WANTED = Wanted(
    max_num_seqs=1,
    max_model_len=None,
    kv_cache_bytes=None,
    kv_type="f16",
    batch_invariant=True,
    num_threads=1,
)


def gguf_logits(path, token_ids):
    model = LlamaCppDecoder(path, WANTED)
    try:
        return model.prefill(0, token_ids, 0, all_logits=True).copy()
    finally:
        model.close()


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_every_architecture_answers_as_its_checkpoint(name, tmp_path):
    folder = make_checkpoint(name, tmp_path / name)
    token_ids = np.random.default_rng(1).integers(3, 2048, 300)
    wanted = reference_logits(folder, token_ids)
    made = convert_gguf(folder, data_type="f16").path
    error, agreement = compare(gguf_logits(made, token_ids), wanted)
    assert error < 0.01
    assert agreement > 0.97


def test_a_window_limits_what_a_file_is_made_for(tmp_path):
    folder = make_checkpoint("mistral", tmp_path / "mistral")
    model = LlamaCppDecoder(convert_gguf(folder, data_type="f16").path, WANTED)
    assert model.max_model_len == 512
    model.close()


def test_every_data_type_makes_a_file_of_its_name(checkpoint, tmp_path):
    errors = []
    for data_type in ("bf16", "q8_0", "q6_k", "q5_k_m", "q4_k_m", "q3_k_m"):
        made = convert_gguf(checkpoint, tmp_path / data_type, data_type)
        assert files(tmp_path / data_type) == [made.path]
        assert made.path.name == f"demo-{data_type}.gguf"
        errors.append(made.deviation.error)
    assert errors == sorted(errors)
    assert errors[0] == 0
    assert 0 < errors[1] < 0.02
    assert errors[-1] < 0.4


def test_a_file_is_replaced_by_a_whole_one_only(tmp_path, monkeypatch):
    folder = make_checkpoint("llama", tmp_path / "small")
    made = convert_gguf(folder, tmp_path / "out", "q8_0").path
    assert made.parent == tmp_path / "out"
    before = made.read_bytes()
    monkeypatch.setattr("serving.conversion.gguf.check_tokenizer", refuse)
    with pytest.raises(ConfigError, match="no"):
        convert_gguf(folder, tmp_path / "out", "q8_0")
    assert made.read_bytes() == before
    assert files(made.parent) == [made]


def test_a_conversion_that_was_cut_off_goes_on_where_it_was(tmp_path, monkeypatch):
    folder = make_checkpoint("llama", tmp_path / "small")
    said = []
    with monkeypatch.context() as patched:
        patched.setattr("serving.conversion.gguf._quantize", refuse)
        with pytest.raises(ConfigError, match="no"):
            convert_gguf(folder, progress=said.append)
    assert files(folder / "gguf") == []
    made = convert_gguf(folder, progress=said.append)
    whole = "as the checkpoint has it"
    assert said == [whole, "q8_0", f"{whole}: finished before", "q8_0", "comparing the two"]
    assert files(folder / "gguf") == [made.path]


def test_of_two_converters_one_works_and_both_have_the_file(tmp_path):
    folder = make_checkpoint("llama", tmp_path / "small")
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: convert_gguf(folder), range(2))
    assert first.path == second.path
    assert files(folder / "gguf") == [first.path]
    assert [first.deviation, second.deviation].count(None) == 1


def files(folder):
    """What may be loaded."""
    return [path for path in folder.iterdir() if not path.name.startswith(".")]


def refuse(*_):
    raise ConfigError("no")


def test_a_file_reads_texts_as_its_checkpoint_does(q8_0):
    own, checkpoint = GgufTokenizer(q8_0), CheckpointTokenizer(DEMO_MODEL, 2048)
    assert own.eos_token_ids >= checkpoint.eos_token_ids
    for token_id in range(own.vocab_size):
        assert own.token_text(token_id) == checkpoint.token_text(token_id)


@pytest.mark.parametrize(
    ("split", "ignore_merges"),
    [
        (regex(LLAMA_3), True),
        (regex(QWEN), False),
        ({"type": "Digits", "individual_digits": True}, False),
    ],
    ids=["llama-3", "qwen", "digits"],
)
def test_text_is_cut_as_the_checkpoint_cuts_it(split, ignore_merges, tmp_path):
    folder = make_checkpoint("llama", tmp_path / "small")
    write_byte_level(folder, split, ignore_merges=ignore_merges)
    own = GgufTokenizer(convert_gguf(folder).path)
    checkpoint = CheckpointTokenizer(folder, 2048)
    for text in TEXTS:
        assert own.encode(text) == checkpoint.encode(text)
        assert own.decode(own.encode(text)) == text


def test_a_sentencepiece_vocabulary_reads_as_the_checkpoints(tmp_path):
    folder = make_checkpoint("mistral", tmp_path / "small")
    write_sentencepiece(folder, 2048)
    own = GgufTokenizer(convert_gguf(folder).path)
    checkpoint = CheckpointTokenizer(folder, 2048)
    for text in TEXTS:
        ids = own.encode(text)
        assert ids == checkpoint.encode(text)
        assert own.decode(ids).removeprefix(" ") == text
        detokenizer = IncrementalDetokenizer(own, ids[:1])
        pieces = [detokenizer.push(token) for token in ids[1:]]
        assert own.decode(ids[:1]) + "".join(pieces) + detokenizer.flush() == " " + text


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda folder: (folder / "config.json").unlink(), "no config.json"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "has no tokenizer; copy"),
        (lambda folder: (folder / "model.safetensors").unlink(), "has no weights"),
        (
            lambda folder: cut(folder / "model.safetensors", 0.5),
            "is cut short .* download it again",
        ),
        (lambda folder: cut(folder / "model.safetensors", 0.0001), "is cut short"),
    ],
)
def test_a_folder_that_is_not_whole_is_refused(spoil, words, tmp_path):
    folder = make_checkpoint("llama", tmp_path / "small")
    spoil(folder)
    with pytest.raises(ConfigError, match=words):
        convert_gguf(folder)
    assert not list(folder.rglob("*.gguf"))


def cut(path, share):
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])


def test_an_unknown_data_type_is_refused_with_those_there_are(tmp_path):
    with pytest.raises(ConfigError, match="no 'int8'; choose one of f16, bf16, q8_0"):
        convert_gguf(tmp_path, data_type="int8")


def test_another_checkpoints_tokenizer_is_noticed(tmp_path, monkeypatch):
    """As if the vocabulary had been written wrongly: the file must not come out."""
    folder = make_checkpoint("llama", tmp_path / "small")
    rule = "serving.conversion.gguf_vocabulary.split_rule"
    monkeypatch.setattr(rule, lambda tokenizer: "qwen2")
    with pytest.raises(ConfigError, match="does not read text as the tokenizer"):
        convert_gguf(folder)
    assert gguf_files(folder) == []
    shutil.rmtree(folder)

"""What a model folder says of how its vectors are made, in the words of sentence-transformers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from serving.errors import ConfigError, InvalidRequest, UnsupportedField
from serving.sentence_encoder import SentenceEncoder, is_sentence_encoder, read_sentence_encoder

OLD = "sentence_transformers.models."
NEW = "sentence_transformers.sentence_transformer.modules."
BERT = {"model_type": "bert", "architectures": ["BertModel"], "hidden_size": 8}


def write(folder: Path, files: dict[str, object]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content))
    return folder


def modules(*names: str, where: str = OLD) -> list[dict[str, object]]:
    paths = {"Transformer": ""}
    return [
        {"idx": n, "name": str(n), "path": paths.get(name, f"{n}_{name}"), "type": where + name}
        for n, name in enumerate(names)
    ]


def encoder(folder: Path, pooling: dict[str, object], **files: object) -> SentenceEncoder:
    write(
        folder,
        {
            "config.json": BERT,
            "modules.json": modules("Transformer", "Pooling"),
            "1_Pooling/config.json": pooling,
        }
        | {name.replace("__", "."): content for name, content in files.items()},
    )
    return read_sentence_encoder(folder)


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [
        ({"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}, "mean"),
        ({"pooling_mode_mean_tokens": False, "pooling_mode_cls_token": True}, "cls"),
        ({"pooling_mode_max_tokens": True}, "max"),
        ({"pooling_mode_lasttoken": True}, "lasttoken"),
        ({"word_embedding_dimension": 8}, "mean"),
        ({"embedding_dimension": 8, "pooling_mode": "cls", "include_prompt": True}, "cls"),
    ],
)
def test_the_pooling_is_the_folders(tmp_path, pooling, expected):
    assert encoder(tmp_path, pooling).pooling == expected


@pytest.mark.parametrize(
    ("pooling", "named"),
    [
        ({"pooling_mode_weightedmean_tokens": True}, "pooling_mode_weightedmean_tokens pooling"),
        ({"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True}, "mean\\+cls pooling"),
        ({"pooling_mode": "weightedmean"}, "weightedmean pooling"),
        ({"pooling_mode": ["cls", "mean"]}, "cls\\+mean pooling"),
        ({"pooling_mode_mean_tokens": True, "include_prompt": False}, "include_prompt: false"),
    ],
)
def test_a_pooling_that_is_not_ours_is_named(tmp_path, pooling, named):
    with pytest.raises(ConfigError, match=f"asks for {named}"):
        encoder(tmp_path, pooling)


@pytest.mark.parametrize("where", [OLD, NEW])
def test_modules_of_any_age(tmp_path, where):
    three = modules("Transformer", "Pooling", "Normalize", where=where)
    pooling: dict[str, object] = {"pooling_mode_mean_tokens": True}
    assert encoder(tmp_path, pooling, modules__json=three).normalize
    assert not encoder(tmp_path, pooling, modules__json=three[:2]).normalize


def test_a_module_that_is_not_ours_is_named(tmp_path):
    three = modules("Transformer", "Pooling", "Dense")
    with pytest.raises(ConfigError, match="the module Dense"):
        encoder(tmp_path, {"pooling_mode_mean_tokens": True}, modules__json=three)


def test_files_that_make_no_sense_are_named(tmp_path):
    for nonsense in (["Transformer"], 7, [{"type": "Transformer"}]):
        with pytest.raises(ConfigError, match="sentence-transformers"):
            encoder(tmp_path, {}, modules__json=nonsense)
    (tmp_path / "modules.json").write_text("{")
    with pytest.raises(ConfigError, match=r"modules\.json cannot be read"):
        read_sentence_encoder(tmp_path)


def test_the_transformers_own_words(tmp_path):
    words = {"max_seq_length": 128, "do_lower_case": True}
    made = encoder(tmp_path, {"pooling_mode": "cls"}, sentence_roberta_config__json=words)
    assert (made.max_tokens, made.lower_case) == (128, True)


def test_a_bare_checkpoint_has_the_mean(tmp_path):
    made = read_sentence_encoder(write(tmp_path, {"config.json": BERT}))
    assert made == SentenceEncoder(pooling="mean", normalize=False)


@pytest.mark.parametrize(
    ("config", "is_one"),
    [
        (BERT, True),
        (BERT | {"architectures": ["BertForMaskedLM"]}, False),
        (BERT | {"architectures": None}, False),
        ({"model_type": "llama", "architectures": ["LlamaModel"]}, False),
        ({"model_type": "llama", "architectures": ["LlamaForCausalLM"]}, False),
    ],
)
def test_a_bare_encoder_is_one(tmp_path, config, is_one):
    assert is_sentence_encoder(write(tmp_path, {"config.json": config})) is is_one


def test_modules_make_an_encoder_of_anything(tmp_path):
    assert not is_sentence_encoder(tmp_path)
    files = {"config.json": {"model_type": "qwen3"}, "modules.json": modules("Transformer")}
    assert is_sentence_encoder(write(tmp_path, files))


def test_vectors_of_most_models_cannot_be_cut():
    SentenceEncoder().check_dimensions(8, dimension=8)
    with pytest.raises(UnsupportedField, match="leave it out or set it to 8") as caught:
        SentenceEncoder().check_dimensions(4, dimension=8)
    assert caught.value.param == "dimensions"


def test_vectors_of_a_matryoshka_model_can(tmp_path):
    made = read_sentence_encoder(write(tmp_path, {"config.json": BERT | {"is_matryoshka": True}}))
    for dimensions in (1, 5, 8):
        made.check_dimensions(dimensions, dimension=8)
    with pytest.raises(InvalidRequest, match="may be cut to less, not to 9"):
        made.check_dimensions(9, dimension=8)


def test_a_folder_may_cut_its_vectors_itself(tmp_path):
    files = {"config.json": BERT, "config_sentence_transformers.json": {"truncate_dim": 4}}
    made = read_sentence_encoder(write(tmp_path, files))
    assert made.dimensions == 4
    made.check_dimensions(4, dimension=8)
    with pytest.raises(UnsupportedField, match="set it to 4"):
        made.check_dimensions(2, dimension=8)


def test_to_what_the_model_was_made_for(tmp_path):
    config = BERT | {"matryoshka_dimensions": [4, 2]}
    made = read_sentence_encoder(write(tmp_path, {"config.json": config}))
    for dimensions in (2, 4, 8):
        made.check_dimensions(dimensions, dimension=8)
    with pytest.raises(InvalidRequest, match="may be cut to 2, 4, not to 3"):
        made.check_dimensions(3, dimension=8)

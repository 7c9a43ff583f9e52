"""Which GGUF file of a model folder is meant."""

from __future__ import annotations

import pytest

from serving.errors import ConfigError
from serving.gguf_source import choose_file, gguf_files, parts


def made(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.touch()
    return folder


def test_the_only_file_is_meant(tmp_path):
    assert choose_file(made(tmp_path, "a.gguf", "config.json"), None) == tmp_path / "a.gguf"


def test_converted_files_lie_in_a_folder_of_their_own(tmp_path):
    folder = made(tmp_path, "gguf/a-q8_0.gguf")
    assert choose_file(folder, None) == folder / "gguf" / "a-q8_0.gguf"
    assert choose_file(folder, "a-q8_0.gguf") == folder / "gguf" / "a-q8_0.gguf"
    assert choose_file(folder, "gguf/a-q8_0.gguf") == folder / "gguf" / "a-q8_0.gguf"


def test_a_path_to_a_file_is_that_file(tmp_path):
    path = made(tmp_path, "a.gguf", "b.gguf") / "a.gguf"
    assert choose_file(path, None) == path
    assert choose_file(path, "a.gguf") == path
    with pytest.raises(ConfigError, match="is a file already"):
        choose_file(path, "b.gguf")


def test_of_several_one_has_to_be_named(tmp_path):
    folder = made(tmp_path, "a.gguf", "gguf/b.gguf")
    with pytest.raises(ConfigError, match=r"holds several \(a.gguf, b.gguf\); say which") as caught:
        choose_file(folder, None)
    assert caught.value.param == "engine_kwargs.gguf_file"
    with pytest.raises(ConfigError, match=r"no 'c.gguf' in .* it holds a.gguf, b.gguf"):
        choose_file(folder, "c.gguf")


def test_a_folder_without_any_says_so(tmp_path):
    with pytest.raises(ConfigError, match="holds no GGUF file"):
        choose_file(tmp_path, None)
    with pytest.raises(ConfigError, match="holds no GGUF file"):
        choose_file(tmp_path / "missing", "a.gguf")


def test_parts_and_image_encoders_are_no_files_of_their_own(tmp_path):
    names = [f"big[1]-{number:05}-of-00003.gguf" for number in (1, 2, 3)]
    folder = made(tmp_path, *names, "mmproj-big-f16.gguf")
    assert [path.name for path in gguf_files(folder)] == names[:1]
    assert [path.name for path in parts(folder / names[0])] == names
    assert parts(folder / "small.gguf") == [folder / "small.gguf"]


def test_a_conversion_at_work_is_no_model(tmp_path):
    place = tmp_path / "gguf" / ".converting-small-q8_0.gguf" / "q8_0"
    place.mkdir(parents=True)
    (place / "made.gguf").touch()
    assert gguf_files(tmp_path) == []

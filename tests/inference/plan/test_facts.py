"""What is known of a model: from files here, from the table, and from a hub on loopback."""

import json
import math
import shutil
import struct
from pathlib import Path

import pytest
from safetensors import safe_open

from inference.plan.fleet import Fleet
from inference.plan.hub import FIRST_BYTES, of_hub
from inference.plan.known_models import KNOWN_MODELS
from inference.plan.load import find_facts, model_facts
from inference.plan.model_facts import of_config, of_folder
from inference.plan.parameters import count
from serving.errors import ConfigError
from serving.model_source import PACKAGES_ROOT
from tests.inference.bench.fake_http import Answer, Asked, routes, serving
from tests.inference.plan.fleets import cpu_node, known

DEMO = PACKAGES_ROOT / "models" / "anynode-demo"
NAME = "owner/model"
BASE = f"/{NAME}/resolve/main"


def test_a_folder_tells_its_bytes_exactly() -> None:
    facts = of_folder("demo", DEMO)
    path = DEMO / "model.safetensors"
    with safe_open(path, framework="np") as file:
        shapes = [file.get_slice(name).get_shape() for name in file.keys()]  # noqa: SIM118
    elements = sum(math.prod(shape) for shape in shapes)
    assert facts.parameters.total == elements
    assert facts.shape.weight_bytes == elements * 2  # as 16 bits, whatever it is stored in


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    shutil.copy(DEMO / "config.json", tmp_path)
    with pytest.raises(ConfigError, match=r"holds no \*\.safetensors"):
        of_folder("m", tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"\xff" * 20)
    with pytest.raises(ConfigError, match="is no safetensors file"):
        of_folder("m", tmp_path)


def test_what_is_no_decoder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="text decoders only"):
        of_config("m", {"model_type": "vit"}, 100, "here")


def test_a_latent_attention_keeps_one_latent() -> None:
    shape = known("deepseek-ai/DeepSeek-V3").shape
    assert shape.kv_bytes_per_token(2) == 61 * (512 + 64) * 2
    assert shape.quantized


def test_well_known_models_need_no_network() -> None:
    facts = model_facts("meta-llama/Llama-2-70b-chat-hf")
    assert facts.origin == "built-in table"
    assert facts.shape.weight_bytes == 2 * 68_976_648_192


def header(length: int = 0) -> bytes:
    """A safetensors file's start: one tensor of 1000 bytes, the header at least so long."""
    told = {
        "__metadata__": {"pad": "x" * length},
        "w": {"dtype": "BF16", "shape": [500], "data_offsets": [0, 1000]},
    }
    text = json.dumps(told).encode()
    return struct.pack("<Q", len(text)) + text


CONFIG = json.dumps(dict(KNOWN_MODELS["TinyLlama/TinyLlama-1.1B-Chat-v1.0"])).encode()


def ranged(bodies: dict[str, bytes], sent: list[int]) -> Answer:
    """As a hub does: the part of a file that is asked for."""

    def answer(asked: Asked) -> tuple[int, bytes]:
        status, body = routes(bodies)(asked)
        if status == 200 and (said := asked.headers.get("range")):
            first, _, last = said.removeprefix("bytes=").partition("-")
            status, body = 206, body[int(first) : int(last) + 1]
        sent.append(len(body))
        return status, body

    return answer


def test_the_hub_is_asked_for_an_index_and_no_weights() -> None:
    index = {"metadata": {"total_size": 2_200_000_000}}
    bodies = {f"{BASE}/config.json": CONFIG, f"{BASE}/model.safetensors.index.json": index}
    with serving(routes(bodies)) as hub:
        facts = of_hub(NAME, token="secret", endpoint=hub.url)
    assert facts.shape.weight_bytes == 2_200_000_000
    assert facts.parameters == count(json.loads(CONFIG))
    assert [asked.path for asked in hub.asked] == list(bodies)
    assert {asked.headers["authorization"] for asked in hub.asked} == {"Bearer secret"}


@pytest.mark.parametrize("length", [0, 2 * FIRST_BYTES])
def test_a_single_file_is_asked_for_its_header_only(length: int) -> None:
    weights, sent = header(length) + bytes(8 * FIRST_BYTES), list[int]()
    bodies = {f"{BASE}/config.json": CONFIG, f"{BASE}/model.safetensors": weights}
    with serving(ranged(bodies, sent)) as hub:
        facts = of_hub(NAME, endpoint=hub.url)
    assert facts.shape.weight_bytes == 1000
    assert sum(sent) < len(CONFIG) + len(header(length)) + FIRST_BYTES + 100
    assert all("authorization" not in asked.headers for asked in hub.asked)


@pytest.mark.parametrize(
    ("status", "words"), [(401, "HF_TOKEN"), (404, "correct the name"), (500, "answered 500")]
)
def test_a_hub_that_refuses_is_explained(status: int, words: str) -> None:
    with serving(lambda _: (status, b"")) as hub, pytest.raises(ConfigError, match=words):
        of_hub(NAME, endpoint=hub.url)


def test_no_hub_is_explained() -> None:
    with serving(routes({})) as hub:
        gone = hub.url
    with pytest.raises(ConfigError, match=r"could not be asked .*give the path of a folder"):
        of_hub(NAME, endpoint=gone)


def test_the_hub_is_the_one_that_its_library_is_set_to(monkeypatch: pytest.MonkeyPatch) -> None:
    index = {"metadata": {"total_size": 1000}}
    bodies = {f"{BASE}/config.json": CONFIG, f"{BASE}/model.safetensors.index.json": index}
    with serving(routes(bodies)) as hub:
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.url)
        assert model_facts(NAME).shape.weight_bytes == 1000
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        with pytest.raises(ConfigError, match="HF_HUB_OFFLINE is set"):
            model_facts(NAME)
    assert len(hub.asked) == 2


def test_names_that_are_nowhere_are_refused_without_asking() -> None:
    with pytest.raises(ConfigError, match="there is no folder"):
        model_facts("models/no-such-model")


def test_a_fleet_without_models_asks_nobody() -> None:
    assert find_facts(Fleet(nodes=[cpu_node()])) == {}

"""Parameters counted from a shape against those that were published for the model."""

import pytest

from inference.plan.known_models import KNOWN_MODELS
from inference.plan.parameters import count

# Elements in each published checkpoint's safetensors files.
PUBLISHED = {
    "meta-llama/Llama-2-7b-hf": 6_738_415_616,
    "meta-llama/Llama-2-13b-hf": 13_015_864_320,
    "meta-llama/Llama-2-70b-chat-hf": 68_976_648_192,
    "meta-llama/Meta-Llama-3-8B": 8_030_261_248,
    "meta-llama/Meta-Llama-3-70B-Instruct": 70_553_706_496,
    "meta-llama/Llama-3.1-405B": 405_853_388_800,
    "meta-llama/Llama-3.2-1B": 1_235_814_400,
    "meta-llama/Llama-3.2-3B": 3_212_749_824,
    "mistralai/Mistral-7B-v0.1": 7_241_732_096,
    "mistralai/Mistral-7B-v0.3": 7_248_023_552,
    "mistralai/Mixtral-8x7B-v0.1": 46_702_792_704,
    "mistralai/Mixtral-8x22B-Instruct-v0.1": 140_630_071_296,
    "Qwen/Qwen2.5-0.5B": 494_032_768,
    "Qwen/Qwen2.5-1.5B": 1_543_714_304,
    "Qwen/Qwen2.5-3B": 3_085_938_688,
    "Qwen/Qwen2.5-7B-Instruct": 7_615_616_512,
    "Qwen/Qwen2.5-14B": 14_770_033_664,
    "Qwen/Qwen2.5-32B": 32_763_876_352,
    "Qwen/Qwen2.5-72B": 72_706_203_648,
    "Qwen/Qwen3-0.6B": 596_049_920,
    "Qwen/Qwen3-1.7B": 1_720_574_976,
    "Qwen/Qwen3-4B": 4_022_468_096,
    "Qwen/Qwen3-8B": 8_190_735_360,
    "Qwen/Qwen3-14B": 14_768_307_200,
    "Qwen/Qwen3-32B": 32_762_123_264,
    "Qwen/Qwen3-30B-A3B": 30_532_122_624,
    "Qwen/Qwen3-235B-A22B": 235_093_634_560,
    "google/gemma-2b": 2_506_172_416,
    "google/gemma-7b": 8_537_680_896,
    "google/gemma-2-2b": 2_614_341_888,
    "google/gemma-2-9b": 9_241_705_984,
    "google/gemma-2-27b": 27_227_128_320,
    "microsoft/Phi-3-mini-4k-instruct": 3_821_079_552,
    "microsoft/Phi-3-medium-4k-instruct": 13_960_238_080,
    "microsoft/phi-4": 14_659_507_200,
    "TinyLlama/TinyLlama-1.1B-Chat-v1.0": 1_100_048_384,
    "HuggingFaceTB/SmolLM2-135M-Instruct": 134_515_008,
    "HuggingFaceTB/SmolLM2-360M-Instruct": 361_821_120,
    "HuggingFaceTB/SmolLM2-1.7B-Instruct": 1_711_376_384,
    "01-ai/Yi-6B": 6_061_035_520,
    "01-ai/Yi-34B-Chat": 34_388_917_248,
    "deepseek-ai/DeepSeek-V2-Lite": 15_706_484_224,
    "deepseek-ai/DeepSeek-V3": 671_026_419_200,
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_shape_has_the_published_parameters(name: str) -> None:
    assert count(KNOWN_MODELS[name]).total == PUBLISHED[name]


def test_every_shape_is_proved_by_one_of_its_names() -> None:
    proved = [KNOWN_MODELS[name] for name in PUBLISHED]
    lengths = {"max_position_embeddings": 0}
    shapes = [dict(shape, **lengths) for shape in proved]
    assert [
        name for name, shape in KNOWN_MODELS.items() if dict(shape, **lengths) not in shapes
    ] == []


# By the models' cards: parameters that one token activates, in billions.
@pytest.mark.parametrize(
    ("name", "billions"),
    [
        ("mistralai/Mixtral-8x7B-v0.1", 12.9),
        ("Qwen/Qwen3-30B-A3B", 3.3),
        ("Qwen/Qwen3-235B-A22B", 22),
        ("deepseek-ai/DeepSeek-V3", 37),
    ],
)
def test_experts_make_few_parameters_active(name: str, billions: float) -> None:
    found = count(KNOWN_MODELS[name])
    assert found.active + found.embedding == pytest.approx(billions * 1e9, rel=0.03)


def test_more_sequences_read_more_experts_up_to_all() -> None:
    found = count(KNOWN_MODELS["mistralai/Mixtral-8x7B-v0.1"])
    reads = [found.read(batch) for batch in (1, 2, 8, 1000)]
    assert reads == sorted(reads)
    assert reads[0] == found.active
    assert reads[-1] == pytest.approx(found.total - found.embedding)

"""Products in few bits: near the real ones, and each row by itself."""

from __future__ import annotations

import pytest
import torch

from serving.engines.transformers_linear import (
    Int4Linear,
    Int8Linear,
    SteadyLinear,
    make_steady,
    quantise,
)
from serving.errors import ConfigError
from tests.transformers.checkpoints import EXPERTS, HEADS, OLD_NAMES, tiny

WIDTH, COLUMNS = 256, 96
KINDS = ((Int8Linear, 0.02), (Int4Linear, 0.15), (SteadyLinear, 1e-6))  # and their error


def linear(bias=True):
    torch.manual_seed(0)
    return torch.nn.Linear(WIDTH, COLUMNS, bias=bias)


def rows(count, seed=1):
    return torch.randn(count, WIDTH, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(autouse=True)
def no_gradients():
    with torch.inference_mode():
        yield


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("kind", "error"), KINDS)
def test_it_is_near_the_product(kind, error, bias):
    plain = linear(bias)
    x = rows(2 * 5).reshape(2, 5, WIDTH)
    wanted = plain(x)
    got = kind(plain)(x)
    assert got.shape == wanted.shape and got.dtype == x.dtype
    assert (got - wanted).square().mean().sqrt() < error * wanted.std()


@pytest.mark.parametrize(("kind", "error"), KINDS)
def test_a_row_does_not_feel_its_neighbours(kind, error):
    product = kind(linear())
    x = rows(16)
    x[1:] *= 30
    alone = product(x[:1])
    for count in (2, 3, 4, 9, 16):
        assert torch.equal(product(x[:count])[:1], alone)


@pytest.mark.parametrize(("kind", "error"), KINDS)
def test_a_row_of_zeros_gives_the_bias(kind, error):
    plain = linear()
    assert torch.allclose(kind(plain)(torch.zeros(1, WIDTH))[0], plain.bias, atol=1e-2)


def test_a_column_of_zeros_stays_one():
    plain = linear(bias=False)
    plain.weight[3] = 0
    for kind, _ in KINDS:
        assert (kind(plain)(rows(2))[:, 3] == 0).all()


@pytest.mark.parametrize(("data_type", "kind"), [("int8", Int8Linear), ("int4", Int4Linear)])
def test_all_large_products_are_quantised(data_type, kind):
    model = tiny("llama", head_dim=16, hidden_size=64, intermediate_size=96, vocab_size=128)
    quantise(model, data_type)
    assert type(model.lm_head) is kind
    layer = model.model.layers[0]
    assert type(layer.self_attn.q_proj) is type(layer.self_attn.o_proj) is kind
    assert model.model.embed_tokens.weight.dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("model_type", "sizes"), [("gpt2", OLD_NAMES), ("mixtral", {**HEADS, **EXPERTS})]
)
def test_a_model_of_other_layers_is_refused(model_type, sizes):
    with pytest.raises(ConfigError, match=r"int8 reaches \d+% of the weights .* bfloat16") as error:
        quantise(tiny(model_type, **sizes), "int8")
    assert error.value.param == "data_type"


def test_a_cpu_that_adds_in_16_bits_is_refused(monkeypatch):
    monkeypatch.setattr("serving.engines.transformers_linear.int8_saturates", lambda _: True)
    with pytest.raises(ConfigError, match="int8 needs a CPU with VNNI"):
        quantise(tiny("llama"), "int8")


def test_only_float32_is_made_steady():
    model = tiny("llama")
    embedding = model.get_input_embeddings().weight
    make_steady(model)
    assert type(model.lm_head) is SteadyLinear
    assert model.get_input_embeddings().weight is embedding
    half = tiny("llama").bfloat16()
    make_steady(half)
    assert type(half.lm_head) is torch.nn.Linear

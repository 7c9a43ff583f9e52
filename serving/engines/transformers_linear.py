"""Products of activations with weights, x · W, in few bits, and such that no row feels another.

`torch.nn.Linear` layers are replaced by one of these once a model is loaded:

- Int8Linear: a scale for each row of x and each column of W; the sums are integers (oneDNN).
- Int4Linear: x as it is, W in groups of 32 with a scale and a zero point for each.
- SteadyLinear: in float32, where products of fewer than 4 rows take a kernel that rounds otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch

from serving.cpu.processor import int8_saturates, this_processor
from serving.errors import ConfigError

INT8_MAX = 127
ZERO_POINT = 128  # of activations: the unsigned kernels are many times faster
GROUP = 32  # weights of a row that share a scale
INT4_MAX = 15
INT4_MIDDLE = 8  # what torch's kernel takes from each weight before it scales it
MIN_COLUMNS = 32  # narrower products cost nothing, and some of them route tokens to experts
MIN_SHARE = 0.5  # of the weights that must be in layers that can be quantised
STEADY_ROWS = 4
TINY = 1e-20  # in place of the scale of a row of zeros


class Int8Linear(torch.nn.Module):  # type: ignore[misc]  # torch has no types here
    """y = (q - 128) · W8 * column_scale * row_scale + bias, with q = uint8(x / row_scale + 128)."""

    def __init__(self, linear: Any) -> None:
        super().__init__()
        weight = linear.weight.detach().float()
        scale = (weight.abs().amax(1) / INT8_MAX).clamp_min(TINY)
        quantised = (weight / scale[:, None]).round().to(torch.int8)
        self._packed = torch.ops.onednn.qlinear_prepack(quantised, None)
        self._scale = scale
        self._zero = torch.zeros(len(scale), dtype=torch.int32)
        self._bias = None if linear.bias is None else linear.bias.detach().float()

    def forward(self, x: Any) -> Any:
        rows = x.reshape(-1, x.shape[-1]).float()
        scale = (rows.abs().amax(1, keepdim=True) / INT8_MAX).clamp_min(TINY)
        quantised = (rows / scale).round_().add_(ZERO_POINT).to(torch.uint8)
        product = torch.ops.onednn.qlinear_pointwise(
            quantised,
            1.0,
            ZERO_POINT,
            self._packed,
            self._scale,
            self._zero,
            None,  # the bias comes after the row's scale
            1.0,
            0,
            torch.float32,
            "none",
            [],
            "",
        ).mul_(scale)
        if self._bias is not None:
            product += self._bias
        return product.to(x.dtype).reshape(*x.shape[:-1], -1)


class Int4Linear(torch.nn.Module):  # type: ignore[misc]  # torch has no types here
    """y = x · ((W4 - 8) * scale + zero) + bias, a scale and a zero for 32 weights of a row."""

    def __init__(self, linear: Any) -> None:
        super().__init__()
        weight = linear.weight.detach().float()
        groups = weight.reshape(len(weight), -1, GROUP)
        low, high = groups.amin(2, keepdim=True), groups.amax(2, keepdim=True)
        scale = ((high - low) / INT4_MAX).clamp_min(TINY)
        quantised = ((groups - low) / scale).round().to(torch.int32).reshape(weight.shape)
        self._packed = torch.ops.aten._convert_weight_to_int4pack_for_cpu(quantised, 1)
        pairs = torch.cat([scale, low + INT4_MIDDLE * scale], 2)  # [N, groups, 2]
        self._scales = pairs.transpose(0, 1).contiguous().bfloat16()
        self._bias = None if linear.bias is None else linear.bias.detach()

    def forward(self, x: Any) -> Any:
        rows = x.reshape(-1, x.shape[-1]).bfloat16()
        product = torch.ops.aten._weight_int4pack_mm_for_cpu(
            rows, self._packed, GROUP, self._scales
        ).to(x.dtype)
        if self._bias is not None:
            product += self._bias
        return product.reshape(*x.shape[:-1], -1)


class SteadyLinear(torch.nn.Linear):  # type: ignore[misc]  # torch has no types here
    """The same product, with as many rows as its usual kernel wants."""

    def __init__(self, linear: Any) -> None:
        super().__init__(linear.in_features, linear.out_features, bias=False, device="meta")
        self.weight, self.bias = linear.weight, linear.bias

    def forward(self, x: Any) -> Any:
        rows = x.reshape(-1, x.shape[-1])
        missing = STEADY_ROWS - len(rows)
        if missing <= 0:
            return super().forward(x)
        padded = torch.nn.functional.pad(rows, (0, 0, 0, missing))
        return super().forward(padded)[: len(rows)].reshape(*x.shape[:-1], -1)


def make_steady(model: Any) -> None:
    """Float32 products whose rounding does not depend on how many rows there are."""
    if model.dtype == torch.float32:
        _replace(model, SteadyLinear, lambda linear: True)


def quantise(model: Any, data_type: str) -> Any:
    """The model with products in "int8" or "int4", and everything else in bfloat16.

    Raises ConfigError where this CPU, or the model, is not made for it.
    """
    if data_type == "int8" and (
        int8_saturates(this_processor()) or not torch.backends.mkldnn.is_available()
    ):
        raise ConfigError(
            "data_type: int8 needs a CPU with VNNI here; set data_type: bfloat16",
            param="data_type",
        )
    kind, fits = (Int8Linear, _fits_int8) if data_type == "int8" else (Int4Linear, _fits_int4)
    embeddings = {id(weight) for weight in model.get_input_embeddings().parameters()}
    total = sum(each.numel() for each in model.parameters() if id(each) not in embeddings)
    quantised = sum(
        linear.weight.numel()
        for _, _, linear in _linears(model)
        if fits(linear) and id(linear.weight) not in embeddings
    )
    if quantised < MIN_SHARE * total:
        raise ConfigError(
            f"data_type: {data_type} reaches {quantised / max(1, total):.0%} of the weights of a "
            f"{type(model).__name__}, whose other layers are of kinds of their own; set data_type: "
            "bfloat16",
            param="data_type",
        )
    _replace(model, kind, fits)
    return model.to(torch.bfloat16)


def _fits_int8(linear: Any) -> bool:
    return bool(linear.out_features >= MIN_COLUMNS)


def _fits_int4(linear: Any) -> bool:
    """torch's kernel packs 32 columns at a time."""
    return _fits_int8(linear) and not (linear.out_features % 32 or linear.in_features % GROUP)


def _linears(model: Any) -> Iterator[tuple[Any, str, Any]]:
    """Every plain linear layer: who holds it, by which name, and itself. None is held on to."""
    for holder in [each for each in model.modules() if type(each) is not torch.nn.Linear]:
        for name, child in list(holder.named_children()):
            if type(child) is torch.nn.Linear:
                yield holder, name, child


def _replace(model: Any, kind: Callable[[Any], Any], fits: Callable[[Any], bool]) -> None:
    for holder, name, linear in _linears(model):
        if fits(linear):
            setattr(holder, name, kind(linear))

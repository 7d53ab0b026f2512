"""Compiled functions give what the plain ones do."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from codesign.quant import asq, fused, react
from codesign.quant.clipped import clipped
from codesign.quant.lsq import lsq

needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler")


def run(function: Callable[[Tensor], Tensor], x: Tensor, parameters: list[Tensor]) -> list[Tensor]:
    x = x.clone(memory_format=torch.preserve_format).requires_grad_()
    for parameter in parameters:
        parameter.grad = None
    y = function(x)
    y.backward(torch.linspace(-1, 1, y.numel()).view(y.shape).to(y.dtype))
    assert x.grad is not None
    return [y.detach(), x.grad, *(p.grad for p in parameters if p.grad is not None)]


def step_and(function: Callable[[Tensor, Tensor], Tensor]) -> tuple[Callable[[Tensor], Tensor], list[Tensor]]:
    step = torch.tensor(0.3, requires_grad=True)
    return lambda x: function(x, step), [step]


def module_and(module: nn.Module, x: Tensor) -> tuple[Callable[[Tensor], Tensor], list[Tensor]]:
    with torch.no_grad():
        module(x)
    return lambda x: module(x), list(module.parameters())


CASES = {
    "lsq": lambda _: step_and(lambda v, step: lsq(v, step, 0, 7, 0.1)),
    "lsq signed": lambda _: step_and(lambda v, step: lsq(v, step, -3, 3, 0.1)),
    "clipped": lambda _: step_and(lambda v, step: clipped(v, step, 0, 15)),
    "clipped signed": lambda _: step_and(lambda v, step: clipped(v, step, -3, 3)),
    "asq": lambda x: module_and(asq.relu(8, 4), x),
    "asq continuous": lambda x: module_and(asq.relu(8, 3, entries=0), x),
    "react": lambda x: module_and(react.relu(8, 1), x),
}


@needs_compiler
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("case", CASES)
def test_compiled_equals_plain(
    case: str, order: torch.memory_format, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(9, 8, 5, 5, generator=generator).to(dtype).to(memory_format=order)
    function, parameters = CASES[case](x)
    found = []
    for least in (1 << 30, 1):
        monkeypatch.setattr(fused, "LEAST", least)
        found.append(run(function, x, parameters))
    assert not fused._broken
    plain, compiled = found
    assert len(plain) == len(compiled) == 2 + sum(p.grad is not None for p in parameters)
    assert torch.equal(plain[0], compiled[0])
    assert compiled[0].stride() == plain[0].stride()
    for expected, gradient in zip(plain[1:], compiled[1:], strict=True):
        assert gradient.dtype == expected.dtype
        torch.testing.assert_close(gradient, expected, rtol=1e-4, atol=1e-4 if gradient.dtype != dtype else 1e-2)


@needs_compiler
def test_large_tensors_are_compiled_and_small_ones_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []

    @fused.fused
    def double(x: Tensor) -> Tensor:
        seen.append(torch.compiler.is_compiling())
        return 2 * x

    double(torch.ones(fused.LEAST - 1))
    assert seen == [False]
    assert torch.equal(double(torch.ones(fused.LEAST)), torch.full((fused.LEAST,), 2.0))


def test_a_machine_that_cannot_compile_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = 0

    def compiles(function: Callable[..., Tensor], **_: object) -> Callable[..., Tensor]:
        def fails(*_: object) -> Tensor:
            nonlocal calls
            calls += 1
            raise torch._dynamo.exc.BackendCompilerFailed(lambda: None, RuntimeError("no Python.h"), None)

        return fails

    monkeypatch.setattr(fused, "_broken", False)
    monkeypatch.setattr(fused, "_has_compiler", lambda: True)
    monkeypatch.setattr(torch, "compile", compiles)
    double = fused.fused(lambda x: 2 * x)
    for _ in range(2):
        assert torch.equal(double(torch.ones(fused.LEAST)), torch.full((fused.LEAST,), 2.0))
    assert calls == 1


@needs_compiler
def test_more_kinds_of_tensors_than_torch_compiles_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fused, "LEAST", 1)
    total = fused.fused(lambda x, axis: x.sum(axis))
    x = torch.arange(2.0**5).view(2, 2, 2, 2, 2)
    with torch._dynamo.config.patch(recompile_limit=2):
        for axis in range(5):
            assert torch.equal(total(x, axis), x.sum(axis))
    assert not fused._broken


@pytest.mark.parametrize("shape", [(6,), (2, 3), (2, 3, 4), (2, 3, 4, 5)])
@pytest.mark.parametrize("last", [False, True])
def test_flat_and_back(shape: tuple[int, ...], last: bool) -> None:
    x = torch.arange(float(torch.Size(shape).numel())).view(shape)
    if last and x.ndim > 2:
        x = x.movedim(1, -1).contiguous().movedim(-1, 1)
    values = fused.flat(x)
    assert values.data_ptr() == x.data_ptr()
    back = fused.unflat(values, x)
    assert torch.equal(back, x)
    assert back.stride() == x.stride()
    assert torch.equal(fused.flat(x.contiguous(), x), values)

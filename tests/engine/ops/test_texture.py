# SPDX-License-Identifier: GPL-3.0-or-later
"""texture against stored numbers; mip stacks; arguments."""

from __future__ import annotations

import pytest
import torch

from likeness.engine.ops import backend, texture, texture_construct_mip

from .devices import BACKENDS, DEVICES
from .golden import Golden, names

SPECIAL = ("texture_quirk", "texture_exact", "texture_cube_zero_vector")
ORDINARY = [name for name in names("texture_*") if not name.startswith(SPECIAL)]


def given(golden: Golden) -> tuple[dict[str, torch.Tensor], dict[str, object]]:
    """Tensors that may have gradients, by the names of the stored gradients; and the parameters."""
    tensors = {}
    for name in ("tex", "uv", "uv_da", "mip_level_bias"):
        tensor = golden.optional(f"in_{name}", grad=True)
        if tensor is not None:
            tensors[name] = tensor
    for k in range(int(golden["param_num_custom_mips"])):
        tensors[f"mip_{k + 1}"] = golden.tensor(f"in_mip_{k + 1}", grad=True)
    limit = int(golden["param_max_mip_level"])
    parameters: dict[str, object] = {
        "filter_mode": golden.text("param_filter_mode"),
        "boundary_mode": golden.text("param_boundary_mode"),
        "max_mip_level": None if limit < 0 else limit,
    }
    mips = [tensor for name, tensor in tensors.items() if name.startswith("mip_") and name != "mip_level_bias"]
    if mips:
        parameters["mip"] = mips
    for name in ("uv_da", "mip_level_bias"):
        if name in tensors:
            parameters[name] = tensors[name]
    return tensors, parameters


def check_gradients(golden: Golden, out: torch.Tensor, tensors: dict[str, torch.Tensor]) -> None:
    grads = torch.autograd.grad(out, list(tensors.values()), golden.tensor("ct_out"), allow_unused=True)
    for (name, tensor), grad in zip(tensors.items(), grads, strict=True):
        if f"grad_{name}" in golden:
            golden.compare(torch.zeros_like(tensor) if grad is None else grad, f"grad_{name}")
        else:
            assert grad is None or not grad.any(), f"unexpected gradient of {name}"


@pytest.mark.parametrize(("with_backend", "device"), BACKENDS)
@pytest.mark.parametrize("name", ORDINARY)
def test_golden(name: str, with_backend: str, device: str) -> None:
    ops = backend(with_backend)
    golden = Golden(name, device)
    tensors, parameters = given(golden)
    out = ops.texture(tensors["tex"], tensors["uv"], **parameters)
    golden.compare(out, "out_color")
    check_gradients(golden, out, tensors)
    if "out_mip_1" in golden and with_backend == "warp":  # how a stack is laid out is the backend's own
        cube = parameters["boundary_mode"] == "cube"
        stack = ops.texture_construct_mip(tensors["tex"], parameters["max_mip_level"], cube_mode=cube)
        levels = [golden[f"out_mip_{k}"] for k in range(1, 20) if f"out_mip_{k}" in golden]
        assert stack.last == len(levels)
        for k, part in enumerate(stack.data.split([level.size for level in levels])):
            golden.compare(part.view(levels[k].shape), f"out_mip_{k + 1}")
        prepared = ops.texture(tensors["tex"], tensors["uv"], **parameters, mip=stack)
        assert torch.equal(prepared, out)
        check_gradients(golden, prepared, tensors)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("kind", ["2d", "cube"])
def test_lookups_at_texel_centres_are_the_texels(kind: str, device: str) -> None:
    golden = Golden(f"texture_exact_centres_{kind}", device)
    outputs = [name.split("_")[1:] for name in golden.arrays if name.startswith("out_")]
    assert len(outputs) == (2 if kind == "cube" else 6)
    for boundary, mode in outputs:
        out = texture(golden.tensor("in_tex"), golden.tensor("in_uv"), filter_mode=mode, boundary_mode=boundary)
        golden.compare(out, f"out_{boundary}_{mode}")


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("short", ["nearest", "linear", "lmn", "lml"])
def test_zero_directions_give_zero(short: str, device: str) -> None:
    golden = Golden("texture_cube_zero_vector", device)
    mode = {"lmn": "linear-mipmap-nearest", "lml": "linear-mipmap-linear"}.get(short, short)
    tensors = {name: golden.tensor(f"in_{name}", grad=True) for name in ("tex", "uv", "uv_da")}
    out = texture(**tensors, filter_mode=mode, boundary_mode="cube")
    golden.compare(out, f"out_color_{short}")
    zero = (tensors["uv"] == 0).all(-1)
    assert zero.sum() == 12
    assert not out[zero].any()
    grads = torch.autograd.grad(out, list(tensors.values()), golden.tensor("ct_out"), allow_unused=True)
    for name, grad in zip(tensors, grads, strict=True):
        if f"grad_{name}_{short}" in golden:
            golden.compare(grad, f"grad_{name}_{short}")
        else:
            assert grad is None


@pytest.mark.parametrize("device", DEVICES)
def test_circular_footprints_have_no_derivative(device: str) -> None:
    golden = Golden("texture_quirk_isotropic", device)
    tensors, parameters = given(golden)
    out = texture(tensors["tex"], tensors["uv"], **parameters)
    golden.compare(out, "out_color")
    check_gradients(golden, out, tensors)


@pytest.mark.parametrize("device", DEVICES)
def test_corners_of_a_batch_of_cube_maps(device: str) -> None:
    golden = Golden("texture_quirk_cube_corner_batch", device)
    out = texture(golden.tensor("in_tex"), golden.tensor("in_uv"), filter_mode="linear", boundary_mode="cube")
    golden.compare(out, "out_color_one_by_one")


@pytest.mark.parametrize("boundary", ["wrap", "cube"])
def test_threads_do_not_change_the_gradient(boundary: str, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(0)
    shape = (1, 6, 32, 32, 3) if boundary == "cube" else (1, 64, 32, 3)
    uv = torch.randn(1, 60, 80, 3 if boundary == "cube" else 2, generator=generator)
    bias = torch.rand(1, 60, 80, generator=generator) * 4
    cotangent = torch.randn(1, 60, 80, 3, generator=generator)
    tex = torch.randn(shape, generator=generator).requires_grad_()
    grads = []
    for threads in ("1", "2", "3"):
        monkeypatch.setenv("LIKENESS_THREADS", threads)
        out = texture(tex, uv, mip_level_bias=bias, boundary_mode=boundary)
        grads += torch.autograd.grad(out, tex, cotangent)
    assert torch.equal(grads[0], grads[1])
    assert torch.equal(grads[0], grads[2])


def test_strange_coordinates() -> None:
    tex = torch.rand(1, 8, 8, 3, requires_grad=True)
    uv = torch.tensor([[float("nan"), 0.5], [0.5, float("inf")], [3e30, -3e30], [0.5, 0.5]]).view(1, 1, 4, 2)
    for boundary in ("wrap", "clamp", "zero"):
        for mode in ("nearest", "linear"):
            out = texture(tex, uv, filter_mode=mode, boundary_mode=boundary)
            assert not out[0, 0, :2].any()
            assert out[0, 0, 3].all()
            (grad,) = torch.autograd.grad(out[:, :, :3].sum(), tex)
            assert grad.isfinite().all()


def test_wrong_arguments_are_named() -> None:
    tex, uv, cube = torch.rand(1, 8, 16, 3), torch.rand(2, 3, 4, 2), torch.rand(1, 6, 4, 4, 3)
    da, bias = torch.rand(2, 3, 4, 4), torch.rand(2, 3, 4)
    level = torch.rand(1, 4, 8, 3)
    for error, name, positional, named in [
        (TypeError, "tex", (None, uv), {}),
        (TypeError, "tex", (tex.double(), uv), {}),
        (TypeError, "uv", (tex, uv.half()), {}),
        (TypeError, "uv_da", (tex, uv, 1.0), {}),
        (ValueError, "tex", (tex[0], uv), {}),
        (ValueError, "tex", (tex[:, :0], uv), {}),
        (ValueError, "tex", (tex.expand(3, 8, 16, 3), uv), {}),
        (ValueError, "tex", (torch.rand(1, 6, 4, 5, 3), torch.rand(2, 3, 4, 3)), {"boundary_mode": "cube"}),
        (ValueError, "tex", (torch.rand(1, 12, 16, 3), uv, da), {}),
        (ValueError, "uv", (tex, torch.rand(2, 3, 4, 3)), {}),
        (ValueError, "uv", (cube, uv), {"boundary_mode": "cube"}),
        (ValueError, "uv", (tex, uv.to("meta")), {}),
        (ValueError, "uv_da", (tex, uv, da[:1]), {}),
        (ValueError, "uv_da", (tex, uv), {"filter_mode": "linear-mipmap-linear"}),
        (ValueError, "mip_level_bias", (tex, uv, da, bias[:, 1:]), {}),
        (ValueError, "mip", (tex, uv, da), {"mip": texture_construct_mip(torch.rand(1, 8, 8, 3))}),
        (ValueError, r"mip\[0\]", (tex, uv, da), {"mip": [level[:, 1:]]}),
        (ValueError, "filter_mode", (tex, uv), {"filter_mode": "cubic"}),
        (ValueError, "boundary_mode", (tex, uv), {"boundary_mode": "mirror"}),
        (ValueError, "max_mip_level", (tex, uv, da), {"max_mip_level": -1}),
    ]:
        with pytest.raises(error, match=f"^{name} "):
            texture(*positional, **named)

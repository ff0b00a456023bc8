# SPDX-License-Identifier: GPL-3.0-or-later
"""interpolate against stored numbers, and against the obvious torch expression for many channel counts."""

from __future__ import annotations

import pytest
import torch

from likeness.engine.ops import backend, interpolate

from .devices import BACKENDS, DEVICES
from .golden import Golden, names


def diff_attrs(text: str) -> str | list[int] | None:
    return (
        {"none": None, "all": "all"}.get(text, text) if text in ("none", "all") else [int(i) for i in text.split(",")]
    )


@pytest.mark.parametrize(("with_backend", "device"), BACKENDS)
@pytest.mark.parametrize("name", names("interpolate_*"))
def test_golden(name: str, with_backend: str, device: str) -> None:
    ops = backend(with_backend)
    golden = Golden(name, device)
    attr, rast = golden.tensor("in_attr", grad=True), golden.tensor("in_rast", grad=True)
    rast_db = golden.optional("in_rast_db", grad=True)
    out, out_da = ops.interpolate(
        attr, rast, golden.tensor("in_tri"), rast_db, diff_attrs(golden.text("param_diff_attrs"))
    )
    golden.compare(out, "out_attr")
    if rast_db is None:
        assert out_da.shape == (*out.shape[:3], 0)
        grads = torch.autograd.grad(out, (attr, rast), golden.tensor("ct_out"))
    else:
        golden.compare(out_da, "out_attr_da")
        cotangents = golden.tensor("ct_out"), golden.tensor("ct_out_da")
        grads = torch.autograd.grad((out, out_da), (attr, rast, rast_db), cotangents)
        golden.compare(grads[2], "grad_rast_db")
    golden.compare(grads[0], "grad_attr")
    golden.compare(grads[1], "grad_rast")


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("channels", range(1, 10))
def test_against_torch_in_double_precision(channels: int, device: str) -> None:
    golden = Golden("interpolate_all_inst", device)
    rast, rast_db, tri = golden.tensor("in_rast"), golden.tensor("in_rast_db"), golden.tensor("in_tri")
    generator = torch.Generator().manual_seed(channels)
    attr = torch.randn(2, 42, channels, generator=generator).to(device)
    cotangents = [torch.randn(*rast.shape[:3], c, generator=generator).to(device) for c in (channels, 2 * channels)]
    actual = [x.clone().requires_grad_() for x in (attr, rast, rast_db)]
    outputs = interpolate(actual[0], actual[1], tri, actual[2], "all")
    grads = torch.autograd.grad(outputs, actual, cotangents)

    expected = [x.double().requires_grad_() for x in (attr, rast, rast_db)]
    ids = rast[..., 3].long()
    image = torch.arange(2, device=device)[:, None, None, None]
    a0, a1, a2 = expected[0][image, tri[(ids - 1).clamp(min=0)].long()].unbind(-2)
    u, v = expected[1][..., 0:1], expected[1][..., 1:2]
    covered = (ids > 0)[..., None]
    db = expected[2][..., None, :]
    first, second = (a0 - a2)[..., None], (a1 - a2)[..., None]
    reference = [
        (u * a0 + v * a1 + (1 - u - v) * a2) * covered,
        ((first * db[..., :2] + second * db[..., 2:]) * covered[..., None]).flatten(-2),
    ]
    expected_grads = torch.autograd.grad(reference, expected, [c.double() for c in cotangents])
    for a, b in zip((*outputs, *grads), (*reference, *expected_grads), strict=True):
        torch.testing.assert_close(a.double(), b, rtol=1e-5, atol=1e-5 * float(b.detach().abs().max()))


def test_same_result_in_every_run() -> None:
    golden = Golden("interpolate_all_soup", "cpu")
    tri, rast = golden.tensor("in_tri"), golden.tensor("in_rast")
    grads = []
    for _ in range(3):
        attr = golden.tensor("in_attr", grad=True)
        grads += torch.autograd.grad(interpolate(attr, rast, tri)[0], attr, golden.tensor("ct_out"))
    assert torch.equal(grads[0], grads[1])
    assert torch.equal(grads[0], grads[2])


def test_wrong_arguments_are_named() -> None:
    attr, rast = torch.rand(2, 4, 3), torch.zeros(2, 5, 5, 4)
    tri = torch.tensor([[0, 1, 2]], dtype=torch.int32)
    beyond = rast.clone()
    beyond[1, 2, 3, 3] = 2
    for error, name, arguments in [
        (TypeError, "attr", (None, rast, tri)),
        (TypeError, "attr", (attr.double(), rast, tri)),
        (TypeError, "rast", (attr, rast.half(), tri)),
        (TypeError, "tri", (attr, rast, tri.long())),
        (ValueError, "attr", (attr[0, 0], rast, tri)),
        (ValueError, "attr", (torch.rand(3, 4, 3), rast, tri)),
        (ValueError, "attr", (torch.rand(2, 4, 0), rast, tri)),
        (ValueError, "rast", (attr, rast[0], tri)),
        (ValueError, "rast", (attr, beyond, tri)),
        (ValueError, "tri", (attr, rast, tri + 2)),
        (ValueError, "tri", (attr, rast, tri.to("meta"))),
        (ValueError, "rast_db", (attr, rast, tri, None, "all")),
        (ValueError, "rast_db", (attr, rast, tri, rast[:1], [0])),
        (ValueError, "diff_attrs", (attr, rast, tri, rast, [3])),
        (ValueError, "diff_attrs", (attr, rast, tri, rast, "some")),
    ]:
        with pytest.raises(error, match=f"^{name} "):
            interpolate(*arguments)

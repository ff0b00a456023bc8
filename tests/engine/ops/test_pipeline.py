# SPDX-License-Identifier: GPL-3.0-or-later
"""All ops in a row against stored numbers."""

from __future__ import annotations

import pytest
import torch

from likeness.engine.ops import backend

from .devices import BACKENDS
from .golden import Golden, names


@pytest.mark.parametrize(("with_backend", "device"), BACKENDS)
@pytest.mark.parametrize("name", names("pipeline_*"))
def test_golden(name: str, with_backend: str, device: str) -> None:
    ops = backend(with_backend)
    golden = Golden(name, device)
    pos, attr, tex = (golden.tensor(f"in_{name}", grad=True) for name in ("pos", "attr", "tex"))
    tri = golden.tensor("in_tri")
    rast, rast_db = ops.rasterize(
        ops.RasterizeContext(device), pos, tri, golden["param_resolution"].tolist(), grad_db=True
    )
    uv, uv_da = ops.interpolate(attr, rast, tri, rast_db, diff_attrs="all")
    color = ops.texture(tex, uv, uv_da) * (rast[..., 3:] > 0)
    out = ops.antialias(color, rast, pos, tri)
    golden.compare(out, "out_color", golden["mask_compare"])
    grads = torch.autograd.grad(out, (pos, attr, tex), golden.tensor("ct_out"))
    for grad, wanted in zip(grads, ("pos", "attr", "tex"), strict=True):
        golden.compare(grad, f"grad_{wanted}")

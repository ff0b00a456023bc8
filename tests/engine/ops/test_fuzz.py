# SPDX-License-Identifier: GPL-3.0-or-later
"""Hostile input to the ops: never a crash, a hang or an access out of bounds; a clear error or finite output.

Out-of-bounds accesses of a CPU kernel end in a crash or in damaged neighbours: results are computed twice, between
allocations that would show it.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from likeness.engine.ops import (
    DepthPeeler,
    RasterizeContext,
    RayScene,
    antialias,
    interpolate,
    rasterize,
    silhouette_gradient,
    texture,
)

TROUBLE = [0.0, -0.0, 1.0, -1.0, 0.5, 1e-30, -1e-30, 1e-3, 7.0, -250.0, 1e20, -1e20, 3.4e38]
BROKEN = [float("nan"), float("inf"), float("-inf")]
number = st.one_of(st.sampled_from(TROUBLE), st.floats(-2, 2, width=32), st.sampled_from(BROKEN))
many = settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def meshes(draw: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Clip positions [N, V, 4] and triangles [T, 3] that share vertices and edges in any way."""
    images, vertices, triangles = draw(st.integers(1, 2)), draw(st.integers(1, 8)), draw(st.integers(0, 12))
    values = draw(st.lists(number, min_size=images * vertices * 4, max_size=images * vertices * 4))
    corner = st.integers(0, vertices - 1)
    indices = draw(st.lists(corner, min_size=3 * triangles, max_size=3 * triangles))
    pos = torch.tensor(values, dtype=torch.float32).reshape(images, vertices, 4)
    return pos, torch.tensor(indices, dtype=torch.int32).reshape(-1, 3)


sides = st.sampled_from([(1, 1), (1, 7), (9, 1), (5, 6), (16, 16)])


def guarded(shape: tuple[int, ...]) -> torch.Tensor:
    return torch.full(shape, 7.25)


@many
@given(meshes(), sides)
def test_all_ops_on_any_mesh(mesh: tuple[torch.Tensor, torch.Tensor], size: tuple[int, int]) -> None:
    pos, tri = mesh
    outputs = []
    for _ in range(2):
        guards = [guarded((4096,))]
        p = pos.clone().requires_grad_(True)
        rast, rast_db = rasterize(RasterizeContext(), p, tri, size)
        guards.append(guarded((4096,)))
        assert torch.isfinite(rast).all()
        ids = rast[..., 3]
        assert ((ids >= 0) & (ids <= len(tri)) & (ids == ids.round())).all()
        assert (rast[..., :2] >= 0).all()
        assert (rast[..., :2].sum(-1) <= 1.0001).all()
        attr = torch.linspace(0, 1, pos.shape[1] * 3).reshape(1, -1, 3).requires_grad_(True)
        color, _ = interpolate(attr, rast, tri, rast_db, "all")
        assert torch.isfinite(color).all()
        shown = silhouette_gradient(antialias(color, rast, p, tri), rast, p, tri)
        assert torch.isfinite(shown).all()
        shown.sum().backward()
        assert attr.grad is not None
        assert torch.isfinite(attr.grad).all()
        with DepthPeeler(RasterizeContext(), pos, tri, size) as peeler:
            layers = [peeler.rasterize_next_layer()[0] for _ in range(3)]
        assert torch.equal(layers[0], rast.detach())
        assert all((guard == 7.25).all() for guard in guards)
        outputs.append((rast.detach(), shown.detach(), p.grad))
    for first, second in zip(*outputs, strict=True):
        if first is not None:
            assert torch.equal(first.nan_to_num(), second.nan_to_num())


@many
@given(
    st.lists(number, min_size=12, max_size=12),
    st.sampled_from(["wrap", "clamp", "zero"]),
    st.sampled_from(["nearest", "linear", "linear-mipmap-nearest", "linear-mipmap-linear"]),
    st.sampled_from([(1, 1), (1, 8), (2, 4), (8, 8)]),
)
def test_texture_at_any_place(values: list[float], boundary: str, mode: str, size: tuple[int, int]) -> None:
    uv = torch.tensor(values[:4], dtype=torch.float32).reshape(1, 1, 2, 2).requires_grad_(True)
    uv_da = torch.tensor(values[4:], dtype=torch.float32).reshape(1, 1, 2, 4)
    tex = torch.rand(1, *size, 3, generator=torch.Generator().manual_seed(1)).requires_grad_(True)
    out = texture(tex, uv, uv_da, filter_mode=mode, boundary_mode=boundary)
    place = torch.isfinite(uv).all(-1) & torch.isfinite(uv_da).all(-1)
    assert torch.isfinite(out[place]).all()
    assert (out[place] <= 1.0001).all()
    out.sum().backward()
    assert tex.grad is not None
    assert tex.grad.shape == tex.shape


@many
@given(meshes(), st.lists(number, min_size=12, max_size=12))
def test_rays_at_any_mesh(mesh: tuple[torch.Tensor, torch.Tensor], values: list[float]) -> None:
    positions = mesh[0][0, :, :3].contiguous()
    scene = RayScene(positions, mesh[1])
    origins, directions = torch.tensor(values, dtype=torch.float32).reshape(2, 2, 3)
    hits = scene.intersect(origins, directions, 1e6)
    assert ((hits.face >= -1) & (hits.face < len(mesh[1]))).all()
    assert scene.occluded(origins, directions, 1e6).shape == (2,)
    scene.refit(positions * 0.5)
    scene.occluded(origins, directions)


@pytest.mark.parametrize("index", [-1, 3, 2**31 - 1])
def test_indices_out_of_range_are_refused(index: int) -> None:
    pos = torch.zeros(1, 3, 4)
    good, bad = torch.tensor([[0, 1, 2]], dtype=torch.int32), torch.tensor([[0, 1, index]], dtype=torch.int32)
    rast, _ = rasterize(RasterizeContext(), pos, good, (4, 4))
    color = torch.zeros(1, 4, 4, 1)
    calls = (
        lambda: rasterize(RasterizeContext(), pos, bad, (4, 4)),
        lambda: interpolate(pos, rast, bad),
        lambda: antialias(color, rast, pos, bad),
        lambda: silhouette_gradient(color, rast, pos, bad),
        lambda: RayScene(pos[0, :, :3].contiguous(), bad),
    )
    for call in calls:
        with pytest.raises(ValueError, match="tri"):
            call()


def test_ids_out_of_range_are_refused() -> None:
    """A rast of other triangles than those of ``tri``."""
    pos, tri = torch.zeros(1, 3, 4), torch.tensor([[0, 1, 2]], dtype=torch.int32)
    rast = torch.zeros(1, 4, 4, 4)
    rast[..., 3] = 5.0
    with pytest.raises(ValueError, match="rast refers to triangles"):
        interpolate(pos, rast, tri)

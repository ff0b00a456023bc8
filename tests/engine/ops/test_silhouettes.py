# SPDX-License-Identifier: GPL-3.0-or-later
"""Gradients of visibility against closed forms and against finite differences of supersampled pictures."""

from __future__ import annotations

import pytest
import torch

from likeness.engine.ops import RasterizeContext, rasterize, silhouette_gradient

from . import dense_meshes
from .devices import DEVICES

SIZE = 96
# Where an edge ends, the pixels next to it may lie beside the surface: about one of an edge's 60 pixels at either end.
CORNERS = 2 / 60
TRIANGLE = torch.tensor([[[-0.62, -0.51, 0.1, 1.0], [0.71, -0.33, 0.2, 1.0], [-0.13, 0.77, 0.0, 1.0]]])


def area_gradient(pos: torch.Tensor, tri: torch.Tensor, **more: torch.Tensor) -> torch.Tensor:
    """Gradient of the covered area in pixels (the sum of a picture that is 1 on surfaces) to clip positions."""
    pos = pos.clone().requires_grad_(True)
    rast, _ = rasterize(RasterizeContext(), pos, tri, (SIZE, SIZE), **more)
    covered = (rast[..., 3:] > 0).float()
    silhouette_gradient(covered, rast, pos, tri, **more).sum().backward()
    assert pos.grad is not None
    return pos.grad


def exact_area_gradient(pos: torch.Tensor) -> torch.Tensor:
    """Of one triangle [3, 4] with w = 1, counter-clockwise: the area is half the cross product of two edges."""
    opposite = (pos[[2, 0, 1], :2] - pos[[1, 2, 0], :2]) * SIZE / 2
    return 0.5 * torch.stack([-opposite[:, 1], opposite[:, 0]], -1) * SIZE / 2


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("order", [[0, 1, 2], [0, 2, 1]])
def test_area_of_a_triangle(device: str, order: list[int]) -> None:
    tri = torch.tensor([order], dtype=torch.int32, device=device)
    found = area_gradient(TRIANGLE.to(device), tri)[0].cpu()
    expected = exact_area_gradient(TRIANGLE[0])
    assert torch.allclose(found[:, :2], expected, rtol=0, atol=CORNERS * float(expected.abs().max()))
    # moving along the ray of sight changes nothing; w scales x and y
    assert (found[:, 2] == 0).all()
    assert torch.allclose(found[:, 3], -(found[:, :2] * TRIANGLE[0, :, :2]).sum(1), atol=1e-2)


def test_perspective_is_that_of_the_screen() -> None:
    """Scaling a vertex by w moves nothing, so that its gradient scales by 1 / w."""
    tri = torch.tensor([[0, 1, 2]], dtype=torch.int32)
    factor = torch.tensor([0.5, 3.0, 1.4])[None, :, None]
    near, plain = area_gradient(TRIANGLE * factor, tri), area_gradient(TRIANGLE, tri)
    assert torch.allclose(near[..., :2] * factor, plain[..., :2], atol=0.3)


def test_what_is_hidden_or_outside_gets_none() -> None:
    front = torch.tensor([[-0.9, -0.9, -0.5, 1.0], [0.9, -0.9, -0.5, 1.0], [0.0, 0.9, -0.5, 1.0]])
    hidden = torch.tensor([[-0.2, -0.4, 0.5, 1.0], [0.2, -0.4, 0.5, 1.0], [0.0, 0.0, 0.5, 1.0]])
    outside = hidden + torch.tensor([3.0, 0.0, 0.0, 0.0])
    behind_eye = hidden * torch.tensor([1.0, 1.0, 1.0, -1.0])
    pos = torch.cat([front, hidden, outside, behind_eye])[None]
    tri = torch.arange(12, dtype=torch.int32).reshape(4, 3)
    found = area_gradient(pos, tri)
    assert found[0, :3, :2].abs().max() > 10
    assert (found[0, 3:] == 0).all()


def test_a_triangle_in_front_of_another_moves_against_it() -> None:
    """The covered area does not change where a surface moves over another one, but the picture does."""
    wall = torch.tensor([[-3.0, -3.0, 0.8, 1.0], [3.0, -3.0, 0.8, 1.0], [0.0, 5.0, 0.8, 1.0]])
    pos = torch.cat([TRIANGLE[0], wall])[None]
    tri = torch.arange(6, dtype=torch.int32).reshape(2, 3)
    assert area_gradient(pos, tri).abs().max() < 1e-6
    pos.requires_grad_(True)
    rast, _ = rasterize(RasterizeContext(), pos, tri, (SIZE, SIZE))
    image = (rast[..., 3:] == 1).float() - 2.0 * (rast[..., 3:] == 2).float()
    silhouette_gradient(image, rast, pos, tri).sum().backward()
    assert pos.grad is not None
    expected = 3.0 * exact_area_gradient(TRIANGLE[0])  # 1 instead of -2
    assert torch.allclose(pos.grad[0, :3, :2], expected, rtol=0, atol=CORNERS * float(expected.abs().max()))
    assert (pos.grad[0, 3:] == 0).all()


def test_batches_and_ranges_are_the_same_as_single_calls() -> None:
    points, tri = dense_meshes.bent_torus(320)
    clip = dense_meshes.moved(points, torch.zeros(7, dtype=torch.float64))
    other = clip * torch.tensor([0.7, 1.1, 1.0, 1.0])
    batch = area_gradient(torch.cat([clip, other]), tri)
    assert torch.allclose(batch[0], area_gradient(clip, tri)[0])
    assert torch.allclose(batch[1], area_gradient(other, tri)[0])
    vertices = torch.cat([clip[0], other[0]])
    both = torch.cat([tri, tri + len(points)])
    spans = torch.tensor([[len(tri), len(tri)], [0, len(tri)]], dtype=torch.int32)
    ranged = area_gradient(vertices, both, ranges=spans)
    assert torch.allclose(ranged, batch.reshape(-1, 4), atol=1e-4)


def test_the_picture_and_its_gradient_are_unchanged() -> None:
    points, tri = dense_meshes.sphere(320)
    pos = dense_meshes.moved(points, torch.zeros(7, dtype=torch.float64))
    rast, _ = rasterize(RasterizeContext(), pos, tri, (SIZE, SIZE))
    color = torch.rand(1, SIZE, SIZE, 2, generator=torch.Generator().manual_seed(1), requires_grad=True)
    shown = silhouette_gradient(color, rast, pos, tri)
    assert torch.equal(shown, color)
    cotangent = torch.rand(shown.shape, generator=torch.Generator().manual_seed(2))
    shown.backward(cotangent)
    assert color.grad is not None
    assert torch.equal(color.grad, cotangent)


def test_boost_and_determinism() -> None:
    points, tri = dense_meshes.bent_torus(5000)
    found = []
    for boost in (1.0, 1.0, 2.5):
        pos = dense_meshes.moved(points, torch.zeros(7, dtype=torch.float64)).requires_grad_(True)
        rast, _ = rasterize(RasterizeContext(), pos, tri, (SIZE, SIZE))
        color = (rast[..., 3:] > 0).float()
        silhouette_gradient(color, rast, pos, tri, pos_gradient_boost=boost).sum().backward()
        assert pos.grad is not None
        found.append(pos.grad)
    assert torch.equal(found[0], found[1])
    assert torch.allclose(found[2], 2.5 * found[0])


def test_dense_meshes_against_supersampling() -> None:
    """Translation, scale and rotation within 5 %; without the edges almost all of it is missing. More meshes:
    ``python -m benchmarks.visibility``."""
    points, tri = dense_meshes.bent_torus(80_000)
    expected = dense_meshes.differences(points, tri, 256)
    assert dense_meshes.worst(dense_meshes.analytic(points, tri, 256), expected) < 0.05
    assert dense_meshes.worst(dense_meshes.analytic(points, tri, 256, edges=False), expected) > 0.5


def test_winding_does_not_matter() -> None:
    points, tri = dense_meshes.bent_torus(5000)
    outwards, inwards = (dense_meshes.analytic(points, t.contiguous(), SIZE) for t in (tri, tri[:, [0, 2, 1]]))
    assert torch.allclose(outwards, inwards, rtol=1e-3, atol=1e-3 * float(outwards.abs().max()))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e30, 0.0])
def test_odd_positions_give_finite_gradients(value: float) -> None:
    points, tri = dense_meshes.sphere(320)
    pos = dense_meshes.moved(points, torch.zeros(7, dtype=torch.float64))
    pos[0, 5:40] = value
    found = area_gradient(pos, tri)
    assert torch.isfinite(found[0, 40:]).all()


def test_arguments_are_named() -> None:
    tri = torch.tensor([[0, 1, 2]], dtype=torch.int32)
    rast, _ = rasterize(RasterizeContext(), TRIANGLE, tri, (8, 8))
    color = torch.zeros(1, 8, 8, 3)
    with pytest.raises(TypeError, match="color must be float32"):
        silhouette_gradient(color.double(), rast, TRIANGLE, tri)
    with pytest.raises(ValueError, match="rast must have the shape"):
        silhouette_gradient(color, rast[:, :4], TRIANGLE, tri)
    with pytest.raises(ValueError, match="tri refers to the vertices"):
        silhouette_gradient(color, rast, TRIANGLE, tri + 1)
    with pytest.raises(TypeError, match="topology_hash"):
        silhouette_gradient(color, rast, TRIANGLE, tri, topology_hash=3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="ranges must"):
        silhouette_gradient(color, rast, TRIANGLE[0], tri, ranges=torch.tensor([[0, 2]], dtype=torch.int32))
    with pytest.raises(ValueError, match="pos_gradient_boost"):
        silhouette_gradient(color, rast, TRIANGLE, tri, pos_gradient_boost=-1.0)

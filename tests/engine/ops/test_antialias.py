# SPDX-License-Identifier: GPL-3.0-or-later
"""antialias against stored numbers and a closed form."""

from __future__ import annotations

import pytest
import torch

from likeness.engine.ops import RasterizeContext, antialias, antialias_construct_topology_hash, backend, rasterize

from .devices import BACKENDS, DEVICES
from .golden import Golden, names


@pytest.mark.parametrize(("with_backend", "device"), BACKENDS)
@pytest.mark.parametrize("prepared", [False, True], ids=["tri", "topology"])
@pytest.mark.parametrize("name", names("antialias_*"))
def test_golden(name: str, prepared: bool, with_backend: str, device: str) -> None:
    ops = backend(with_backend)
    golden = Golden(name, device)
    color, pos = golden.tensor("in_color", grad=True), golden.tensor("in_pos", grad=True)
    tri, boost = golden.tensor("in_tri"), float(golden["param_pos_gradient_boost"])
    topology = ops.antialias_construct_topology_hash(tri) if prepared else None
    out = ops.antialias(color, golden.tensor("in_rast"), pos, tri, topology, boost)
    golden.compare(out, "out_color")
    grad_color, grad_pos = torch.autograd.grad(out, (color, pos), golden.tensor("ct_out"))
    golden.compare(grad_color, "grad_color")
    golden.compare(grad_pos, "grad_pos")
    assert not grad_pos[..., 2].any()


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("vertical", [False, True])
def test_mean_colour_is_the_covered_area(vertical: bool, device: str) -> None:
    """A white half-plane with a straight edge: after antialiasing its mean is its area, whose derivative by the place
    of the edge is known, wherever the edge lies between two pixel centres."""
    size = 16
    tri = torch.tensor([[0, 1, 2], [0, 2, 3]], dtype=torch.int32, device=device)
    for k in range(5):
        edge = torch.tensor((2 * 7.13 + 0.37 * k) / size - 1, device=device, requires_grad=True)
        one = torch.ones_like(edge)
        # wider than the image; the edge leans by half a pixel, so that it is not parallel to the rows of samples
        lean = 0.5 / size
        points = [(-2 * one, -2 * one), (edge - 2 * lean, -2 * one), (edge + 2 * lean, 2 * one), (-2 * one, 2 * one)]
        if vertical:
            points = [(y, x) for x, y in points]
        pos = torch.stack([torch.stack([x, y, 0 * x, 0 * x + 1]) for x, y in points])[None]
        rast, _ = rasterize(RasterizeContext(device), pos, tri, (size, size))
        color = (rast[..., 3:] > 0).float()
        area = antialias(color, rast, pos, tri).mean()
        assert float(area.detach()) == pytest.approx(float((edge.detach() + 1) / 2), abs=2e-4)
        (slope,) = torch.autograd.grad(area, edge)
        # nvdiffrast's regularisation takes 0.001 / 32 of the gradient
        assert float(slope) == pytest.approx(0.5, abs=1e-3)


def test_topology_is_renewed_when_the_triangles_change() -> None:
    golden = Golden("antialias_cube_64", "cpu")
    color, rast, pos, tri = (golden.tensor(f"in_{name}") for name in ("color", "rast", "pos", "tri"))
    out = antialias(color, rast, pos, tri)
    tri[:, [0, 1]] = tri[:, [1, 0]]
    tri[3] = tri[4]
    expected = antialias(color, rast, pos, tri, antialias_construct_topology_hash(tri))
    assert torch.equal(antialias(color, rast, pos, tri), expected)
    assert not torch.equal(out, expected)


def test_adjacency() -> None:
    """Two triangles of a square, in both relative windings; edges are named by the opposite vertex."""
    tri = torch.tensor([[0, 1, 2], [0, 2, 3]], dtype=torch.int32)
    assert antialias_construct_topology_hash(tri).adjacency.tolist() == [[-1, 2, -1], [-1, -1, 0]]
    tri = torch.tensor([[0, 1, 2], [2, 0, 3], [4, 5, 6]], dtype=torch.int32)
    assert antialias_construct_topology_hash(tri).adjacency.tolist() == [[-1, 3, -1], [-1, -1, 1], [-1, -1, -1]]
    assert antialias_construct_topology_hash(tri[:0]).adjacency.shape == (0, 3)


def test_wrong_arguments_are_named() -> None:
    color, rast, pos = torch.rand(1, 4, 4, 3), torch.zeros(1, 4, 4, 4), torch.rand(1, 5, 4)
    tri = torch.tensor([[0, 1, 2]], dtype=torch.int32)
    other = antialias_construct_topology_hash(torch.tensor([[0, 1, 2], [0, 2, 3]], dtype=torch.int32))
    for error, name, arguments in [
        (TypeError, "color", (None, rast, pos, tri)),
        (TypeError, "rast", (color, rast.double(), pos, tri)),
        (TypeError, "pos", (color, rast, pos.half(), tri)),
        (TypeError, "tri", (color, rast, pos, tri.long())),
        (TypeError, "topology_hash", (color, rast, pos, tri, 3)),
        (ValueError, "color", (color[0], rast, pos, tri)),
        (ValueError, "color", (color[..., :0], rast, pos, tri)),
        (ValueError, "rast", (color, rast[:, 1:], pos, tri)),
        (ValueError, "pos", (color, rast, pos.repeat(2, 1, 1), tri)),
        (ValueError, "pos", (color, rast, pos.to("meta"), tri)),
        (ValueError, "tri", (color, rast, pos, tri + 3)),
        (ValueError, "topology_hash", (color, rast, pos, tri, other)),
        (ValueError, "pos_gradient_boost", (color, rast, pos, tri, None, -1.0)),
    ]:
        with pytest.raises(error, match=f"^{name} "):
            antialias(*arguments)

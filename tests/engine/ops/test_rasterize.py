# SPDX-License-Identifier: GPL-3.0-or-later
"""rasterize and DepthPeeler against stored numbers, closed forms and finite differences."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from likeness.engine.ops import RasterizeContext, RasterizeCudaContext, backend, rasterize

from .devices import BACKENDS, DEVICES
from .golden import Golden, names


def check_images(golden: Golden, rast: torch.Tensor, rast_db: torch.Tensor, suffix: str = "") -> None:
    mask = golden[f"mask_stable{suffix}"] if f"mask_stable{suffix}" in golden else np.ones(rast.shape[:3], np.uint8)
    ids, expected = rast[..., 3].detach().cpu().numpy(), golden[f"out_rast{suffix}"][..., 3]
    np.testing.assert_array_equal(ids[mask == 1], expected[mask == 1])
    golden.compare(rast, f"out_rast{suffix}", mask)
    golden.compare(rast_db, f"out_rast_db{suffix}", mask)


@pytest.mark.parametrize(("with_backend", "device"), BACKENDS)
@pytest.mark.parametrize("name", names("rasterize_*"))
def test_golden(name: str, with_backend: str, device: str) -> None:
    ops = backend(with_backend)
    golden = Golden(name, device)
    ctx, tri, resolution = ops.RasterizeContext(device), golden.tensor("in_tri"), golden["param_resolution"].tolist()
    ranges = golden.optional("in_ranges")
    pos = golden.tensor("in_pos", grad=True)
    rast, rast_db = ops.rasterize(ctx, pos, tri, resolution, ranges=ranges, grad_db=True)
    check_images(golden, rast, rast_db)
    if "ct_rast" not in golden:
        return
    cotangents = golden.tensor("ct_rast"), golden.tensor("ct_rast_db")
    (grad,) = torch.autograd.grad((rast, rast_db), pos, cotangents)
    golden.compare(grad, "grad_pos_grad_db_true")
    rast, rast_db = ops.rasterize(ctx, pos, tri, resolution, ranges=ranges, grad_db=False)
    (grad,) = torch.autograd.grad((rast, rast_db), pos, cotangents)
    golden.compare(grad, "grad_pos_grad_db_false")
    assert not grad[..., 2].any()


@pytest.mark.parametrize(("with_backend", "device"), BACKENDS)
@pytest.mark.parametrize("name", names("peel_*"))
def test_golden_peeling(name: str, with_backend: str, device: str) -> None:
    ops = backend(with_backend)
    golden = Golden(name, device)
    pos = golden.tensor("in_pos", grad=True)
    resolution = golden["param_resolution"].tolist()
    with ops.DepthPeeler(
        ops.RasterizeContext(device), pos, golden.tensor("in_tri"), resolution, grad_db=False
    ) as peeler:
        for layer in range(int(golden["param_num_layers"])):
            rast, rast_db = peeler.rasterize_next_layer()
            check_images(golden, rast, rast_db, f"_{layer}")
            (grad,) = torch.autograd.grad(rast, pos, golden.tensor(f"ct_rast_{layer}"))
            golden.compare(grad, f"grad_pos_grad_db_false_{layer}")
    with pytest.raises(RuntimeError):
        peeler.rasterize_next_layer()


@pytest.mark.parametrize("device", DEVICES)
def test_every_pixel_of_a_mesh_is_covered_once(device: str) -> None:
    """A jittered grid that covers the image, half of it turned over: no gap, no pixel drawn by two triangles."""
    n = 12
    rng = np.random.default_rng(3)
    x, y = np.meshgrid(np.linspace(-1.2, 1.2, n), np.linspace(-1.2, 1.2, n))
    points = np.stack([x, y], -1) + rng.uniform(-0.05, 0.05, (n, n, 2))
    w = rng.uniform(0.5, 2, (n, n, 1))
    pos = np.concatenate([points * w, np.zeros((n, n, 1)), w], -1).reshape(-1, 4)
    i = (np.arange(n - 1)[:, None] * n + np.arange(n - 1)).reshape(-1)
    tri = np.concatenate([np.stack([i, i + 1, i + n], 1), np.stack([i + n, i + 1, i + n + 1], 1)])
    tri[::2] = tri[::2, ::-1]
    # one image for each triangle
    ranges = np.stack([np.arange(len(tri)), np.ones(len(tri))], 1)
    p = torch.tensor(pos, dtype=torch.float32, device=device)
    t = torch.tensor(tri, dtype=torch.int32, device=device)
    rast, _ = rasterize(RasterizeContext(device), p, t, (61, 67), ranges=torch.tensor(ranges, dtype=torch.int32))
    # triangles that jut far out of the image take part too
    p[:, :2] *= 30
    wide, _ = rasterize(RasterizeContext(device), p, t, (61, 67), ranges=torch.tensor(ranges, dtype=torch.int32))
    for images in (rast, wide):
        np.testing.assert_array_equal((images[..., 3] > 0).sum(0).cpu(), 1)


@pytest.mark.parametrize("device", DEVICES)
def test_plane_through_the_eye_is_clipped(device: str) -> None:
    """An endless ground plane: from behind the eye to the horizon. The closed form is the ray through the pixel."""
    near, far, size = 0.1, 100.0, 64
    a, b = -(far + near) / (far - near), -2 * far * near / (far - near)
    # camera at height 1 looking along -z; the plane's corners, some of them behind the camera
    plane = np.array([[-50, -1, 60], [50, -1, 60], [0, -1, -99]], np.float64)
    clip = np.stack([plane[:, 0], plane[:, 1], a * plane[:, 2] + b, -plane[:, 2]], 1)
    pos = torch.tensor(clip[None], dtype=torch.float32, device=device)
    tri = torch.tensor([[0, 1, 2]], dtype=torch.int32, device=device)
    rast, _ = rasterize(RasterizeContext(device), pos, tri, (size, size))
    rast = rast[0].double().cpu().numpy()
    centres = (2 * np.arange(size) + 1) / size - 1
    x, y = np.meshgrid(centres, centres)
    with np.errstate(divide="ignore"):
        depth = np.where(y < 0, -1 / y, np.inf)  # view-space depth of y = -1 along the ray
    z = -depth
    # barycentrics on the plane
    matrix = np.stack([plane[:, 0], plane[:, 2], np.ones(3)])
    weights = np.einsum("ij,jhw->ihw", np.linalg.inv(matrix), np.stack([x * depth, z, np.ones_like(x)]))
    with np.errstate(invalid="ignore"):
        inside = (weights > 1e-3).all(0) & (depth > near * 1.01) & (depth < far * 0.99)
        outside = (weights < -1e-3).any(0) | (depth < near * 0.99) | (depth > far * 1.01) | ~np.isfinite(depth)
    assert inside.sum() > 1000
    assert (rast[inside][:, 3] == 1).all()
    assert (rast[outside] == 0).all()
    np.testing.assert_allclose(rast[inside][:, 0], weights[0][inside], atol=2e-5)
    np.testing.assert_allclose(rast[inside][:, 1], weights[1][inside], atol=2e-5)
    np.testing.assert_allclose(rast[inside][:, 2], (a * z + b)[inside] / depth[inside], atol=2e-5)


@pytest.mark.parametrize("device", DEVICES)
def test_a_wide_image_is_covered_by_two_triangles(device: str) -> None:
    width, height = 4500, 3
    pos = torch.tensor([[[-1, -1, 0, 1], [1, -1, 0, 1], [1, 1, 0, 1], [-1, 1, 0, 1]]], dtype=torch.float32)
    tri = torch.tensor([[0, 1, 2], [0, 2, 3]], dtype=torch.int32, device=device)
    rast, rast_db = rasterize(RasterizeContext(device), pos.to(device), tri, (height, width))
    rast, rast_db = rast[0].cpu(), rast_db[0].cpu()
    x = ((torch.arange(width) + 0.5) / width).expand(height, width)
    y = ((torch.arange(height) + 0.5) / height)[:, None].expand(height, width)
    lower = rast[..., 3] == 1
    assert torch.equal(lower, x > y)
    assert torch.equal(rast[..., 3] == 2, x <= y)
    # weights of (-1, -1), (1, -1) below the diagonal and of (-1, -1), (1, 1) above it
    torch.testing.assert_close(rast[..., 0], torch.where(lower, 1 - x, 1 - y), atol=2e-6, rtol=0)
    torch.testing.assert_close(rast[..., 1], torch.where(lower, x - y, x), atol=2e-6, rtol=0)
    slopes = torch.tensor([[-1 / width, 0, 1 / width, -1 / height], [0, -1 / height, 1 / width, 0]])
    torch.testing.assert_close(rast_db, slopes[(rast[..., 3] - 1).long()], atol=1e-6, rtol=0)


@pytest.mark.parametrize("device", DEVICES)
def test_equal_depth_goes_to_the_later_triangle(device: str) -> None:
    square = [[-1, -1, 0, 1], [1, -1, 0, 1], [1, 1, 0, 1], [-1, 1, 0, 1]]
    pos = torch.tensor([square], dtype=torch.float32, device=device)
    tri = torch.tensor([[0, 1, 2], [0, 2, 3], [0, 1, 2]], dtype=torch.int32, device=device)
    ids = rasterize(RasterizeContext(device), pos, tri, (16, 16))[0][0, ..., 3]
    assert set(ids.unique().tolist()) == {2.0, 3.0}


def test_threads_do_not_change_the_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    golden = Golden("rasterize_soup_128", "cpu")
    pos = golden.tensor("in_pos").repeat(8, 1, 1)
    pictures = []
    for threads in ("1", "2", "5"):
        monkeypatch.setenv("LIKENESS_THREADS", threads)
        pictures.append(rasterize(RasterizeContext(), pos, golden.tensor("in_tri"), (128, 128)))
    for rast, rast_db in pictures[1:]:
        assert torch.equal(rast, pictures[0][0])
        assert torch.equal(rast_db, pictures[0][1])


def test_vertices_that_are_not_finite_draw_nothing() -> None:
    golden = Golden("rasterize_cube_64", "cpu")
    pos, tri = golden.tensor("in_pos"), golden.tensor("in_tri")
    pos[0, 2, 1] = float("nan")
    rast, _ = rasterize(RasterizeContext(), pos, tri, (64, 64))
    assert rast.isfinite().all()
    broken = [i + 1 for i, t in enumerate(tri.tolist()) if 2 in t]
    assert not any((rast[..., 3] == i).any() for i in broken)
    assert (rast[..., 3] > 0).any()


def test_nothing_to_draw() -> None:
    pos, tri = torch.zeros(2, 3, 4), torch.zeros(0, 3, dtype=torch.int32)
    rast, rast_db = rasterize(RasterizeContext(), pos, tri, (5, 7))
    assert rast.shape == rast_db.shape == (2, 5, 7, 4)
    assert not rast.any()


def test_wrong_arguments_are_named() -> None:
    assert RasterizeCudaContext is RasterizeContext
    ctx, pos, tri = RasterizeContext("cpu"), torch.rand(1, 4, 4), torch.tensor([[0, 1, 2]], dtype=torch.int32)
    size = (8, 8)
    for error, name, arguments in [
        (TypeError, "ctx", (None, pos, tri, size)),
        (TypeError, "pos", (ctx, pos.double(), tri, size)),
        (TypeError, "tri", (ctx, pos, tri.long(), size)),
        (TypeError, "ranges", (ctx, pos[0], tri, size, torch.tensor([[0, 1]]))),
        (ValueError, "pos", (ctx, pos[0], tri, size)),
        (ValueError, "pos", (ctx, pos[..., :3], tri, size)),
        (ValueError, "pos", (ctx, pos, tri, size, torch.tensor([[0, 1]], dtype=torch.int32))),
        (ValueError, "pos", (ctx, pos.to("meta"), tri, size)),
        (ValueError, "tri", (ctx, pos, tri + 2, size)),
        (ValueError, "tri", (ctx, pos, tri - 1, size)),
        (ValueError, "tri", (ctx, pos, tri.to("meta"), size)),
        (ValueError, "resolution", (ctx, pos, tri, (8, 0))),
        (ValueError, "resolution", (ctx, pos, tri, (8,))),
        (ValueError, "ranges", (ctx, pos[0], tri, size, torch.tensor([[0, 2]], dtype=torch.int32))),
    ]:
        with pytest.raises(error, match=f"^{name} "):
            rasterize(*arguments)

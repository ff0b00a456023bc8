# SPDX-License-Identifier: GPL-3.0-or-later
"""The package as a drop-in: names and signatures, backends, log level, packed meshes, ray queries."""

from __future__ import annotations

import inspect
from importlib.util import find_spec

import pytest
import torch

from likeness.engine import ops
from likeness.engine.ops import RasterizeContext, RayScene, backend, interpolate, pack_meshes, rasterize

from . import dense_meshes
from .devices import DEVICES


def test_signatures_are_those_of_nvdiffrast() -> None:
    """From its public documentation."""
    expected = {
        "rasterize": "ctx, pos, tri, resolution, ranges=None, grad_db=True",
        "interpolate": "attr, rast, tri, rast_db=None, diff_attrs=None",
        "texture": "tex, uv, uv_da=None, mip_level_bias=None, mip=None, filter_mode='auto', boundary_mode='wrap', "
        "max_mip_level=None",
        "texture_construct_mip": "tex, max_mip_level=None, cube_mode=False",
        "antialias": "color, rast, pos, tri, topology_hash=None, pos_gradient_boost=1.0",
        "antialias_construct_topology_hash": "tri",
    }
    for name, text in expected.items():
        parameters = inspect.signature(getattr(ops, name)).parameters.values()
        found = [p.name if p.default is p.empty else f"{p.name}={p.default!r}" for p in parameters]
        assert ", ".join(found) == text
    assert ops.RasterizeCudaContext is RasterizeContext


def test_every_public_name_is_there() -> None:
    for name in ops.__all__:
        assert getattr(ops, name).__doc__, name


def test_backends_are_chosen_by_name() -> None:
    assert backend() is ops
    with pytest.raises(ValueError, match="name must be one of warp, nvdiffrast"):
        backend("opengl")
    if not torch.cuda.is_available():
        with pytest.raises(RuntimeError, match="needs a CUDA device"):
            backend("nvdiffrast")
    elif find_spec("nvdiffrast") is None:
        with pytest.raises(RuntimeError, match="not installed"):
            backend("nvdiffrast")


def test_log_level_is_kept() -> None:
    before = ops.get_log_level()
    try:
        for level in (3, 0, 2, 1):
            ops.set_log_level(level)
            assert ops.get_log_level() == level
        with pytest.raises(ValueError, match="level must be"):
            ops.set_log_level(7)
    finally:
        ops.set_log_level(before)


@pytest.mark.parametrize("device", DEVICES)
def test_meshes_of_different_sizes_in_one_call(device: str) -> None:
    still = torch.zeros(7, dtype=torch.float64)
    meshes, colors = [], []
    for number, (points, tri) in enumerate((dense_meshes.sphere(320), dense_meshes.bent_torus(5000)) * 2):
        pos = dense_meshes.moved(points, still + 0.05 * number)[0].to(device)
        meshes.append((pos, tri.to(device)))
        colors.append(points.float().to(device))
    pos, tri, ranges = pack_meshes(meshes)
    assert pos.shape[0] == sum(len(p) for p, _ in meshes)  # no padding
    rast, rast_db = rasterize(RasterizeContext(device), pos, tri, (48, 64), ranges)
    shown, _ = interpolate(torch.cat(colors), rast, tri)
    for number, ((p, t), color) in enumerate(zip(meshes, colors, strict=True)):
        alone, alone_db = rasterize(RasterizeContext(device), p[None], t, (48, 64))
        assert torch.equal(alone[0, ..., :3], rast[number, ..., :3])
        assert torch.equal(alone_db[0], rast_db[number])
        assert torch.equal(interpolate(color[None], alone, t)[0][0], shown[number])


def test_packing_names_the_mesh() -> None:
    pos, tri = torch.zeros(3, 4), torch.tensor([[0, 1, 2]], dtype=torch.int32)
    with pytest.raises(ValueError, match="pos of mesh 1"):
        pack_meshes([(pos, tri), (pos[:, :3], tri)])
    with pytest.raises(ValueError, match="at least one mesh"):
        pack_meshes([])


@pytest.mark.parametrize("device", DEVICES)
def test_rays_meet_a_sphere_where_they_should(device: str) -> None:
    points, tri = dense_meshes.sphere(80000)
    scene = RayScene(points.float().to(device), tri.to(device))
    generator = torch.Generator().manual_seed(0)
    target = torch.rand(2000, 3, generator=generator) * 2.4 - 1.2
    origin = torch.tensor([0.3, -0.2, 4.0]).expand(2000, 3).contiguous()
    direction = 0.5 * (target - origin)
    for radius, shift in ((1.0, 0.0), (0.7, 0.4)):  # as built, and after a refit
        scene.refit((radius * points + shift).float().to(device))
        from_centre = origin.double() - shift
        d = direction.double()
        a, b, c = (d * d).sum(1), (d * from_centre).sum(1), (from_centre**2).sum(1) - radius**2
        under = b * b - a * c
        clear = under.abs() > 0.05  # the mesh is a little smaller than the sphere
        hits = scene.intersect(origin.to(device), direction.to(device))
        met = (hits.face >= 0).cpu()
        assert torch.equal(met[clear], (under > 0)[clear])
        both = clear & met
        expected = (-b - under.clamp(min=0).sqrt()) / a
        assert (hits.distance.cpu()[both] - expected[both]).abs().max() < 2e-3
        weights = hits.barycentric.cpu()[both]
        corners = (radius * points + shift)[tri[hits.face.cpu()[both]].long()]
        place = torch.cat([weights, 1 - weights.sum(1, keepdim=True)], 1)[..., None] * corners
        assert (place.sum(1) - (origin + direction * expected[:, None])[both]).abs().max() < 2e-2
        assert torch.equal(scene.occluded(origin.to(device), direction.to(device)).cpu(), met)
        short = scene.occluded(origin.to(device), direction.to(device), 0.5)
        assert not short.any()


@pytest.mark.parametrize("device", DEVICES)
def test_odd_rays_meet_nothing(device: str) -> None:
    points, tri = dense_meshes.sphere(320)
    scene = RayScene(points.float().to(device), tri.to(device))
    origin = torch.tensor([[0.0, 0.0, 4.0], [float("nan"), 0.0, 4.0], [0.0, 0.0, 4.0]], device=device)
    direction = torch.tensor([[0.0, 0.0, -1.0]] * 3, device=device)
    limit = torch.tensor([10.0, 10.0, -1.0], device=device)
    assert scene.occluded(origin, direction, limit).tolist() == [True, False, False]
    assert (scene.intersect(origin, direction, limit).face >= 0).tolist() == [True, False, False]
    nothing = RayScene(torch.zeros(0, 3, device=device), torch.zeros(0, 3, dtype=torch.int32, device=device))
    assert not nothing.occluded(origin, direction).any()
    assert (nothing.intersect(origin, direction).face == -1).all()
    assert len(scene.occluded(origin[:0], direction[:0])) == 0


def test_ray_arguments_are_named() -> None:
    points, tri = dense_meshes.sphere(320)
    scene = RayScene(points.float(), tri)
    ray = torch.zeros(2, 3)
    with pytest.raises(TypeError, match="origins must be float32"):
        scene.occluded(ray.double(), ray)
    with pytest.raises(ValueError, match="directions must have the shape"):
        scene.intersect(ray, ray[:1])
    with pytest.raises(ValueError, match="t_max must have the shape"):
        scene.occluded(ray, ray, torch.zeros(3))
    with pytest.raises(ValueError, match="positions must have the shape"):
        scene.refit(torch.zeros(4, 3))
    with pytest.raises(ValueError, match="tri refers to"):
        RayScene(torch.zeros(2, 3), torch.tensor([[0, 1, 2]], dtype=torch.int32))

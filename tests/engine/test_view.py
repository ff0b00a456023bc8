# SPDX-License-Identifier: GPL-3.0-or-later
"""Views: which surface is behind a pixel, and the reconstruction filter against integrals of its window."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import scipy.integrate
import torch

from likeness.engine.camera import Projection
from likeness.engine.geometry import build_geometry
from likeness.engine.render import render
from likeness.engine.scene import Camera, Film, Scene
from likeness.engine.view import DeviceGeometry, apply_filter, build_view, filter_reach, filter_weights
from tests.engine.shading.by_hand import inside_of_box, looking_down, matte, plane, scene_of
from tests.reference.camera import blackman_harris, rays

FILTERS = {
    "blackman harris": (Film(filter="BLACKMAN_HARRIS", filter_width=1.5), blackman_harris, 1.5),
    "narrow": (Film(filter="BLACKMAN_HARRIS", filter_width=0.8), lambda d: blackman_harris(d, 0.8), 0.8),
    "box": (Film(filter="BOX", filter_width=5.0), lambda d: float(abs(d) <= 0.5), 0.5),
    "gaussian": (Film(filter="GAUSSIAN", filter_width=1.5), lambda d: np.exp(-2 * (6 * d / 4.5) ** 2), 2.25),
}


def integral(window, low: float, high: float, support: float) -> float:
    low, high = max(low, -support), min(high, support)
    return scipy.integrate.quad(window, low, high, limit=200)[0] if high > low else 0.0


@pytest.mark.parametrize("name", FILTERS)
def test_fine_weights_are_the_integrals_of_the_window(name: str) -> None:
    film, window, support = FILTERS[name]
    grid, reach = 8, filter_reach(film)
    assert reach + 0.5 >= support
    found = filter_weights(film, grid, 0.0).double().numpy()
    assert len(found) == (2 * reach + 1) * grid
    assert found.sum() == pytest.approx(1.0, abs=1e-6)
    edges = np.arange(len(found) + 1) / grid - reach - 0.5
    total = integral(window, -support, support, support)
    expected = [integral(window, a, b, support) / total for a, b in itertools.pairwise(edges)]
    # one sample a cell: the midpoint rule is off by h² k'' / 24, at the narrow window's top .003
    assert found == pytest.approx(expected, abs=3e-3)


@pytest.mark.parametrize("offset", [-0.5, -0.2, 0.0, 0.31])
@pytest.mark.parametrize("name", FILTERS)
def test_coarse_weights_follow_the_offset(name: str, offset: float) -> None:
    """One sample a pixel at an offset: weights in the ratio of the window at the samples' distances."""
    film, window, support = FILTERS[name]
    reach = filter_reach(film)
    found = filter_weights(film, 1, offset).double().numpy()
    distances = np.arange(-reach, reach + 1) + offset
    expected = np.array([window(d) if abs(d) <= support else 0.0 for d in distances], np.float64)
    assert found == pytest.approx(expected / expected.sum(), abs=1e-6)


@pytest.mark.parametrize("reduction", [2.0, 4.0])
def test_a_reduced_photo_has_a_narrower_filter_and_a_box(reduction: float) -> None:
    film, grid = Film(), 8
    reach = filter_reach(film)
    found = filter_weights(film, grid, 0.0, reduction).double().numpy()
    places = (np.arange(len(found)) + 0.5) / grid - reach - 0.5

    def at(d: float) -> float:
        return integral(blackman_harris, (d - 0.5) * reduction, (d + 0.5) * reduction, 1.5)

    expected = np.array([at(d) for d in places])
    assert found == pytest.approx(expected / expected.sum(), abs=1e-3)


def test_a_filter_thinner_than_the_grid_takes_the_nearest_cell() -> None:
    found = filter_weights(Film(filter_width=0.01), 4, 0.03)
    assert found.sum() == pytest.approx(1.0)
    assert (found > 0).sum() == 1


def test_separable_filter_is_a_plain_double_sum() -> None:
    generator = torch.Generator().manual_seed(2)
    grid, height, width = 2, 3, 4
    cells = torch.rand(grid * (height + 2), grid * (width + 2), 3, generator=generator)
    across, up = torch.rand(2, 3 * grid, generator=generator)
    found = apply_filter(cells, across, up, grid).numpy()
    assert found.shape == (height, width, 3)
    for i in range(height):
        for j in range(width):
            block = cells[grid * i : grid * (i + 3), grid * j : grid * (j + 3)].numpy()
            expected = np.einsum("y,x,yxc->c", up.numpy(), across.numpy(), block)
            assert found[i, j] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("edge", [0.0, 0.25, 0.5, -0.75])
def test_edge_response(edge: float) -> None:
    """A glowing half plane: pixels across its edge are the running integral of the window."""
    size = 8
    glowing = plane(size, name="Half")
    glowing.positions[:, 0] = np.where(glowing.positions[:, 0] < 0, -3.0 * size, edge)
    glowing.positions[:, 1] *= 3
    camera = looking_down(scale=float(size))  # one pixel a metre
    scene = scene_of([glowing], [matte(0.0, 1.0)], cameras={"Camera": camera})
    found = render(scene, "Camera", size, size, samples=16)
    total = integral(blackman_harris, -1.5, 1.5, 1.5)
    centres = np.arange(size) + 0.5 - size / 2
    expected = [integral(blackman_harris, -1.5, edge - c, 1.5) / total for c in centres]
    for row in found:  # borders too: the margin sees what is outside
        assert row[:, 0] == pytest.approx(expected, abs=5e-3)  # four cells a pixel, midpoint rule


def _geometry(scene: Scene) -> DeviceGeometry:
    geometry = build_geometry(scene, "cpu")
    return DeviceGeometry(geometry, np.zeros(len(geometry.material_names), np.float32))


def _room() -> tuple[Scene, Projection]:
    """A small plane of one material before a larger one of another; some background."""
    meshes = [plane(1.0, z=1.0, material="Front", name="Front"), plane(1.6, material="Matte")]
    scene = scene_of(meshes, [matte(0.5), matte(0.5, name="Front")])
    matrix = np.eye(4)
    matrix[:3, 3] = (0.2, -0.1, 4.0)
    return scene, Projection.of(Camera("Camera", matrix, lens=60.0), 24, 18)


@pytest.mark.parametrize("grid", [1, 3])
def test_every_cell_is_where_the_reference_ray_says(grid: int) -> None:
    scene, projection = _room()
    margin, offset = 2, (0.2, -0.1)
    view = build_view(_geometry(scene), projection, margin=margin, grid=grid, offset=offset)
    assert (view.height, view.width) == ((18 + 4) * grid, (24 + 4) * grid)
    cells = torch.cat([view.cell, view.background]).sort().values
    assert torch.equal(cells, torch.arange(view.height * view.width))
    y, x = np.divmod(view.cell.numpy(), view.width)
    pixels = np.stack([(x + 0.5) / grid - margin + offset[0], (y + 0.5) / grid - margin + offset[1]], axis=-1)
    origin, direction = rays(projection.camera, pixels, 24, 18)
    on_front = origin + direction * ((1.0 - origin[:, 2]) / direction[:, 2])[:, None]
    on_back = origin + direction * (-origin[:, 2] / direction[:, 2])[:, None]
    front = (np.abs(on_front[:, :2]) < 0.5).all(axis=1)
    expected = np.where(front[:, None], on_front, on_back)
    assert front.any()
    assert not front.all()
    assert view.position.numpy() == pytest.approx(expected, abs=1e-5)
    assert view.frames.view.numpy() == pytest.approx(-direction, abs=1e-6)
    assert view.frames.geometric.numpy() == pytest.approx(np.tile([0.0, 0.0, 1.0], (len(x), 1)), abs=1e-6)
    rows = np.empty(len(x), int)
    for row, part in view.material_slices:
        rows[part] = row
    names = build_geometry(scene, "cpu").material_names
    assert [names[r] for r in rows] == ["Front" if f else "Matte" for f in front]
    corners = _geometry(scene).corners[view.face]
    assert (corners * view.barycentric[..., None]).sum(1).numpy() == pytest.approx(expected, abs=1e-5)


def test_faces_seen_from_behind_turn_their_normals() -> None:
    scene = scene_of([inside_of_box(1.0, "Matte")], [matte(0.5)])
    view = build_view(_geometry(scene), Projection.of(looking_down(), 8, 8), margin=0)  # from outside: the back
    assert (view.frames.geometric * view.frames.view).sum(1).min() > 0
    assert (view.frames.smooth * view.frames.view).sum(1).min() > 0
    assert (view.side == -1).all()


def test_unwanted_cells_are_left_out_and_nothing_else_changes() -> None:
    scene, projection = _room()
    geometry = _geometry(scene)
    whole = build_view(geometry, projection, margin=1)
    wanted = torch.rand(20, 26, generator=torch.Generator().manual_seed(4)) < 0.3
    part = build_view(geometry, projection, margin=1, wanted=wanted)
    assert (part.height, part.width) == (whole.height, whole.width)
    flat = wanted.reshape(-1)
    assert torch.equal(part.background.sort().values, whole.background[flat[whole.background]].sort().values)
    kept = flat[whole.cell]
    assert torch.equal(part.cell, whole.cell[kept])
    assert torch.equal(part.position, whole.position[kept])
    assert torch.equal(part.frames.smooth, whole.frames.smooth[kept])


def test_rows_of_a_view_are_those_of_the_whole() -> None:
    scene, projection = _room()
    geometry = _geometry(scene)
    whole = build_view(geometry, projection, margin=1)
    band = build_view(geometry, projection, margin=1, rows=(5, 9))
    assert band.height == 6
    first = 5 * whole.width
    inside = (whole.cell >= first) & (whole.cell < first + band.height * whole.width)
    assert torch.equal(band.cell + first, whole.cell[inside])
    assert torch.allclose(band.position, whole.position[inside])


def test_nothing_beyond_the_clip_planes() -> None:
    scene, projection = _room()
    near = Camera(**{**vars(projection.camera), "clip_start": 3.5})
    view = build_view(_geometry(scene), Projection.of(near, 24, 18), margin=0)
    assert view.position[:, 2].max() < 0.5  # the front plane, 3 m away, is clipped
    far = Camera(**{**vars(projection.camera), "clip_end": 3.5})
    view = build_view(_geometry(scene), Projection.of(far, 24, 18), margin=0)
    assert view.position[:, 2].min() > 0.5

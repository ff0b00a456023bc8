# SPDX-License-Identifier: GPL-3.0-or-later
"""Kernels behind a view: rays of the camera, and the surface points that they meet."""

from __future__ import annotations

import numpy as np
import torch
import warp as wp

from .camera import Projection
from .ops.launch import launch
from .rays import HitArrays, RayArrays, RayHits, Rays


@wp.struct
class CameraArrays:
    """A camera for image coordinates that form a grid, see Projection.rays; in float64 as places may be far away."""

    across: wp.array(dtype=wp.float64)  # X of the columns at depth 1
    up: wp.array(dtype=wp.float64)  # Y of the rows
    rotation: wp.mat33d
    place: wp.vec3d
    near: wp.float64
    far: wp.float64
    perspective: int


@wp.struct
class CornerArrays:
    """Values of the triangles' corners [T, 3]."""

    position: wp.array2d(dtype=wp.vec3)
    normal: wp.array2d(dtype=wp.vec3)
    tangent: wp.array2d(dtype=wp.vec4)


@wp.struct
class PointArrays:
    """Surface points [P], see View and PixelFrames."""

    face: wp.array(dtype=wp.int64)
    barycentric: wp.array(dtype=wp.vec3)
    position: wp.array(dtype=wp.vec3)
    side: wp.array(dtype=wp.float32)
    raw_normal: wp.array(dtype=wp.vec3)
    tangent: wp.array(dtype=wp.vec4)
    smooth: wp.array(dtype=wp.vec3)
    geometric: wp.array(dtype=wp.vec3)
    view: wp.array(dtype=wp.vec3)


# Numbers a point and their type, of each of PointArrays.
_POINT_VALUES: dict[str, tuple[int, type]] = {
    "face": (1, wp.int64),
    "side": (1, wp.float32),
    "tangent": (4, wp.vec4),
    **dict.fromkeys(("barycentric", "position", "raw_normal", "smooth", "geometric", "view"), (3, wp.vec3)),
}


@wp.kernel(enable_backward=False)
def _camera_rays_kernel(start: int, slot: int, cell: wp.array(dtype=wp.int64), camera: CameraArrays, rays: RayArrays):
    i = start + wp.tid()
    width = camera.across.shape[0]
    row = int(cell[i]) // width
    x = camera.across[int(cell[i]) - row * width]
    y = camera.up[row]
    zero = wp.float64(0.0)
    direction = wp.vec3d(zero, zero, wp.float64(-1.0))
    origin = wp.vec3d(x, y, -camera.near)
    reach = camera.far - camera.near
    if camera.perspective == 1:
        direction = wp.vec3d(x, y, wp.float64(-1.0))
        origin = direction * camera.near
        reach *= wp.length(direction)  # both clip planes are planes
    rays.origin[i] = wp.vec3(camera.rotation * origin + camera.place)
    rays.direction[i] = wp.vec3(wp.normalize(camera.rotation * direction))
    rays.t_max[i] = float(reach)


@wp.kernel(enable_backward=False)
def _points_kernel(
    start: int,
    slot: int,
    hit: wp.array(dtype=wp.int64),
    rays: RayArrays,
    met: HitArrays,
    corners: CornerArrays,
    points: PointArrays,
):
    i = start + wp.tid()
    k = int(hit[i])
    f = met.face[k]
    a = met.barycentric[k][0]
    b = met.barycentric[k][1]
    c = 1.0 - (a + b)
    p0 = corners.position[f, 0]
    p1 = corners.position[f, 1]
    p2 = corners.position[f, 2]
    view = -rays.direction[k]
    geometric = wp.normalize(wp.cross(p1 - p0, p2 - p0))
    raw = corners.normal[f, 0] * a + corners.normal[f, 1] * b + corners.normal[f, 2] * c
    smooth = wp.normalize(raw)
    # The side of a face is decided by its winding, as in Cycles.
    side = float(1.0)
    if wp.dot(geometric, view) < 0.0:
        side = -1.0
    smooth_side = side
    if wp.dot(geometric, smooth) < 0.0:
        smooth_side = -side
    points.face[i] = wp.int64(f)
    points.barycentric[i] = wp.vec3(a, b, c)
    points.position[i] = p0 * a + p1 * b + p2 * c
    points.side[i] = smooth_side
    points.raw_normal[i] = raw
    points.tangent[i] = corners.tangent[f, 0] * a + corners.tangent[f, 1] * b + corners.tangent[f, 2] * c
    points.smooth[i] = smooth * smooth_side
    points.geometric[i] = geometric * side
    points.view[i] = view


def camera_rays(projection: Projection, x: np.ndarray, y: np.ndarray, cell: torch.Tensor) -> Rays:
    """Rays through cells of a grid with columns at `x` [W] and rows at `y` [H]; `cell` [N] int64 are flat indices."""
    camera, matrix = projection.camera, np.asarray(projection.camera.matrix, np.float64)
    device = str(cell.device)
    if projection.camera.distortion is not None:
        return _distorted_rays(projection, x, y, cell)
    across, up = projection.slopes(x, y)
    arrays = CameraArrays()
    arrays.across = wp.array(across, dtype=wp.float64, device=device)
    arrays.up = wp.array(up, dtype=wp.float64, device=device)
    arrays.rotation = wp.mat33d(*matrix[:3, :3].ravel().tolist())
    arrays.place = wp.vec3d(*matrix[:3, 3].tolist())
    arrays.near, arrays.far = float(camera.clip_start), float(camera.clip_end)
    arrays.perspective = int(camera.kind == "PERSP")
    rays = Rays.empty(len(cell), cell.device)
    launch(_camera_rays_kernel, len(cell), [wp.from_torch(cell), arrays, rays.arrays()], device)
    return rays


def _distorted_rays(projection: Projection, x: np.ndarray, y: np.ndarray, cell: torch.Tensor) -> Rays:
    """The same where the slopes of columns and rows depend on each other; made on the host."""
    row, column = np.divmod(cell.cpu().numpy(), len(x))
    origin, direction = projection.rays(x[column], y[row])
    far = np.full(len(row), projection.camera.clip_end, np.float32)
    arrays = (origin.astype(np.float32), direction.astype(np.float32), far)
    return Rays(*(torch.from_numpy(array).to(cell.device) for array in arrays))


def surface_points(
    hit: torch.Tensor, rays: Rays, met: RayHits, corners: torch.Tensor, normals: torch.Tensor, tangents: torch.Tensor
) -> dict[str, torch.Tensor]:
    """The points that the rays `hit` [P] int64 have met, by the names of PointArrays.

    The triangles' corners lie at `corners` [T, 3, 3] and have `normals` [T, 3, 3] and `tangents` [T, 3, 4].
    """
    given = CornerArrays()
    given.position = wp.from_torch(corners, dtype=wp.vec3)
    given.normal = wp.from_torch(normals, dtype=wp.vec3)
    given.tangent = wp.from_torch(tangents, dtype=wp.vec4)
    points, arrays = {}, PointArrays()
    for name, (width, dtype) in _POINT_VALUES.items():
        shape = (len(hit), width) if width > 1 else (len(hit),)
        number = torch.int64 if dtype is wp.int64 else torch.float32
        points[name] = torch.empty(shape, dtype=number, device=hit.device)
        setattr(arrays, name, wp.from_torch(points[name], dtype=dtype))
    inputs = [wp.from_torch(hit), rays.arrays(), met.arrays(), given, arrays]
    launch(_points_kernel, len(hit), inputs, str(hit.device))
    return points

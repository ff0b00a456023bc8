# SPDX-License-Identifier: GPL-3.0-or-later
"""Engine scenes without Blender: a few meshes, a camera, random materials and directions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from likeness.engine.scene import Camera, Film, Light, Material, Mesh, Scene, ViewSettings, World, colour, scalar
from likeness.engine.shading.samples import SOURCE_CONSTANT, Samples
from likeness.engine.shading.shade import PixelFrames
from tests.reference.principled import Principled


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors [..., 3] of length 1."""
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def random_rotation(seed: int) -> np.ndarray:
    """A proper rotation matrix [3, 3] float64."""
    q, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    return q * np.sign(np.linalg.det(q))


def above(normal: np.ndarray, rng: np.random.Generator, lowest: float = 0.05) -> np.ndarray:
    """A random unit direction [N, 3] for each normal [N, 3], with a cosine of at least `lowest`."""
    cosine = rng.uniform(lowest, 1.0, len(normal))
    across = unit(np.cross(normal, rng.normal(size=normal.shape)))
    return cosine[:, None] * normal + np.sqrt(1.0 - cosine**2)[:, None] * across


def fibonacci_sphere(count: int) -> np.ndarray:
    """Directions [count, 3] that cover the sphere evenly; each stands for 4 pi / count."""
    index = np.arange(count) + 0.5
    z = 1.0 - 2.0 * index / count
    phi = index * np.pi * (3.0 - np.sqrt(5.0))
    r = np.sqrt(1.0 - z * z)
    return np.stack([r * np.cos(phi), r * np.sin(phi), z], axis=-1)


def surface_rows(material: Principled, count: int) -> np.ndarray:
    """The reference's material as rows of shading/lobes.py [count, 11], float32."""
    columns = [
        np.broadcast_to(material.base_color, (count, 3)),
        *(
            np.broadcast_to(x, count)[:, None]
            for x in (material.metallic, material.roughness, material.ior, material.specular_level)
        ),
        np.broadcast_to(material.specular_tint, (count, 3)),
        np.full((count, 1), float(material.multiscatter)),
    ]
    return np.concatenate(columns, axis=1).astype(np.float32)


def rounded(material: Principled) -> Principled:
    """The material with values as float32 holds them, so that only arithmetic differs."""
    values = {
        name: np.asarray(value, np.float32).astype(np.float64) if name != "multiscatter" else value
        for name, value in vars(material).items()
    }
    return Principled(**values)


def edge_stays_positive(base: np.ndarray, tint: np.ndarray) -> np.ndarray:
    """Whether the reflectance of an F82-tinted metal is positive at every angle, [N].

    Cycles clamps it at 0 for each half vector; the engine adds all lobes up before it knows the half vector.
    """
    hv = np.linspace(0.0, 1.0, 400)[:, None, None]
    edge = (base + (1 - base) * (6 / 7) ** 5) * 7 / (6 / 7) ** 6 * (1 - np.clip(tint, 0, 1))
    return (base + (1 - base) * (1 - hv) ** 5 - edge * hv * (1 - hv) ** 6).min(axis=(0, -1)) >= 0.0


def random_material(rng: np.random.Generator, count: int, multiscatter: bool = True) -> Principled:
    """Materials over the sockets' whole ranges. Roughness from .05: below, float32 resolves no highlight."""
    level = np.where(rng.random(count) < 0.5, 0.5, rng.uniform(0.0, 1.0, count))
    base, tint = rng.uniform(0.0, 1.0, (count, 3)), rng.uniform(0.0, 1.0, (count, 3))
    tint = np.where(edge_stays_positive(base, tint)[:, None], tint, 1.0)
    return rounded(
        Principled(
            base_color=base,
            metallic=np.choose(rng.integers(3, size=count), [np.zeros(count), np.ones(count), rng.random(count)]),
            roughness=rng.uniform(0.05, 1.0, count),
            ior=rng.uniform(1.05, 2.5, count),
            specular_level=level,
            specular_tint=tint,
            multiscatter=multiscatter,
        )
    )


def tensor(values: np.ndarray) -> torch.Tensor:
    """float32 tensor of its own."""
    return torch.from_numpy(np.array(values, np.float32))


def frames_of(normal: np.ndarray, view: np.ndarray, smooth: np.ndarray | None = None, bump: float = 0.0) -> PixelFrames:
    """Frames whose geometric (and by default smooth) normal is `normal`."""
    smooth = normal if smooth is None else smooth
    return PixelFrames(tensor(smooth), tensor(smooth), tensor(view), torch.full((len(normal),), bump))


def constant_samples(light: np.ndarray) -> Samples:
    """Light of radiance 1 (solid angle 1) from directions [P, K, 3]."""
    pixels, each = light.shape[:2]
    return Samples(
        tensor(light),
        torch.ones(pixels, each, 3),
        torch.full((pixels, each), int(SOURCE_CONSTANT), dtype=torch.int32),
        torch.full((pixels,), each, dtype=torch.int32),
    )


def mesh_of(
    name: str, corners: np.ndarray, uvs: np.ndarray | None, material: str, normals: np.ndarray | None = None
) -> Mesh:
    """A mesh of loose triangles [T, 3, 3]; flat unless corner normals are given."""
    corners = np.asarray(corners, np.float32)
    count = len(corners)
    flat = unit(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]))[:, None].repeat(3, axis=1)
    return Mesh(
        name=name,
        positions=corners.reshape(-1, 3),
        triangles=np.arange(3 * count, dtype=np.int32).reshape(count, 3),
        corner_normals=np.asarray(flat if normals is None else normals, np.float32),
        uv_maps={} if uvs is None else {"UVMap": np.asarray(uvs, np.float32)},
        active_uv=None if uvs is None else "UVMap",
        material_names=[material],
        material_index=np.zeros(count, np.int32),
        object_name=name,
    )


def quad(name: str, points: np.ndarray, material: str) -> Mesh:
    """Two triangles over four points in counter-clockwise order, with the unit square as texture coordinates."""
    p, uv = np.asarray(points, np.float64), np.array([(0, 0), (1, 0), (1, 1), (0, 1)], np.float64)
    order = [[0, 1, 2], [0, 2, 3]]
    mesh = mesh_of(name, p[order], uv[order], material)
    tangent = np.array([*unit(p[1] - p[0]), 1.0], np.float32)
    mesh.corner_tangents = np.broadcast_to(tangent, (2, 3, 4)).copy()
    return mesh


def plane(size: float = 2.0, z: float = 0.0, material: str = "Matte", name: str = "Plane") -> Mesh:
    """A square around the z axis that faces up."""
    h = size / 2
    return quad(name, np.array([(-h, -h, z), (h, -h, z), (h, h, z), (-h, h, z)]), material)


def inside_of_sphere(radius: float, material: str, rows: int = 48) -> Mesh:
    """A smooth sphere whose faces look inwards."""
    theta, phi = np.linspace(0, np.pi, rows + 1), np.linspace(0, 2 * np.pi, 2 * rows + 1)
    t, f = np.meshgrid(theta, phi, indexing="ij")
    points = np.stack([np.sin(t) * np.cos(f), np.sin(t) * np.sin(f), np.cos(t)], axis=-1)
    a, b, c, d = points[:-1, :-1], points[1:, :-1], points[1:, 1:], points[:-1, 1:]
    upper = np.stack([a[1:], d[1:], c[1:]], -2).reshape(-1, 3, 3)
    lower = np.stack([a[:-1], c[:-1], b[:-1]], -2).reshape(-1, 3, 3)
    corners = np.concatenate([upper, lower])
    return mesh_of("Sphere", corners * radius, None, material, -corners)


def inside_of_box(half: float, material: str) -> Mesh:
    """A cube whose faces look inwards."""
    triangles = []
    for axis in range(3):
        for sign in (-1.0, 1.0):
            x, y, z = np.roll(np.eye(3), -axis, axis=0) * half
            p = [sign * x + a * y + b * z for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
            face = [[p[0], p[1], p[2]], [p[0], p[2], p[3]]]
            triangles += [t[::-1] for t in face] if sign > 0 else face
    corners = np.array(triangles)
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert (np.einsum("tk,tk->t", normal, corners.mean(1)) < 0).all()
    return mesh_of("Box", corners, None, material)


def matte(albedo: float, emission: float = 0.0, name: str = "Matte") -> Material:
    """A Lambert surface of grey albedo that may glow."""
    return Material(
        name, colour(albedo, albedo, albedo), specular_level=scalar(0.0), emission_strength=scalar(emission)
    )


def looking_down(height: float = 4.0, scale: float = 2.0, **settings: object) -> Camera:
    """An orthographic camera above the origin, +X right and +Y up."""
    matrix = np.eye(4)
    matrix[2, 3] = height
    return Camera("Camera", matrix, kind="ORTHO", ortho_scale=scale, **settings)


def scene_of(
    meshes: list[Mesh], materials: list[Material], lights: list[Light] | None = None, **settings: object
) -> Scene:
    """A scene with one camera that looks down."""
    return Scene(
        meshes=meshes,
        materials={material.name: material for material in materials},
        lights=lights or [],
        **{"cameras": {"Camera": looking_down()}, "film": Film(), "world": World(), **settings},
    )


def standard_view() -> ViewSettings:
    """Blender's Standard view transform, with the configuration that bpy brings."""
    import bpy

    config = Path(bpy.utils.resource_path("LOCAL")) / "datafiles" / "colormanagement" / "config.ocio"
    return ViewSettings(view_transform="Standard", config_path=str(config))

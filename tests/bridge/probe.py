# SPDX-License-Identifier: GPL-3.0-or-later
"""Cycles as a measuring instrument: what a node gives at a known place, and slow, obvious lookups to compare with."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np

from likeness.bridge.versions import enable_nodes
from likeness.engine.scene import Image, Texture
from tests.scenes.cycles import render_cycles


def new_material(name: str) -> bpy.types.Material:
    """A material with Blender's default nodes."""
    material = bpy.data.materials.new(name)
    enable_nodes(material)
    return material


def emission_material(name: str = "Probe") -> tuple[bpy.types.Material, bpy.types.NodeSocket]:
    """A material that shows the colour at the returned socket as radiance."""
    material = new_material(name)
    nodes = material.node_tree.nodes
    nodes.clear()
    emission, output = nodes.new("ShaderNodeEmission"), nodes.new("ShaderNodeOutputMaterial")
    material.node_tree.links.new(emission.outputs[0], output.inputs["Surface"])
    return material, emission.inputs["Color"]


def add_square(material: bpy.types.Material, uv_scale: float = 1.0, uv_offset: float = 0.0) -> bpy.types.Object:
    """The square [-1, 1]² with UV map "UVMap" = scale * [0, 1]² + offset."""
    mesh = bpy.data.meshes.new("Square")
    mesh.from_pydata([(-1, -1, 0), (1, -1, 0), (1, 1, 0), (-1, 1, 0)], [], [(0, 1, 2, 3)])
    corners = np.array([(0, 0), (1, 0), (1, 1), (0, 1)], np.float32) * uv_scale + uv_offset
    mesh.uv_layers.new(name="UVMap").data.foreach_set("uv", corners.ravel())
    mesh.materials.append(material)
    square = bpy.data.objects.new("Square", mesh)
    bpy.context.scene.collection.objects.link(square)
    return square


def top_camera(extent: float = 2.0) -> bpy.types.Object:
    """An orthographic camera that looks down on the square of that extent about the origin."""
    data = bpy.data.cameras.new("Top")
    data.type, data.ortho_scale = "ORTHO", extent
    camera = bpy.data.objects.new("Top", data)
    camera.location = (0, 0, 10)
    bpy.context.scene.collection.objects.link(camera)
    return camera


def shoot(camera: bpy.types.Object, folder: Path, size: int) -> np.ndarray:
    """Radiance at the pixel centres [size, size, 3], row 0 at the bottom; one sample, no filter."""
    scene = bpy.context.scene
    scene.cycles.pixel_filter_type, scene.cycles.filter_width = "BLACKMAN_HARRIS", 0.01
    path = folder / "probe.exr"
    return render_cycles(scene, camera, path, width=size, height=size, samples=1, direct_only=True)[..., :3]


def pixel_positions(size: int, extent: float = 2.0) -> np.ndarray:
    """(x, y) of the pixel centres of :func:`shoot` through :func:`top_camera`, [size, size, 2]."""
    line = ((np.arange(size) + 0.5) / size - 0.5) * extent
    return np.stack(np.meshgrid(line, line, indexing="xy"), axis=-1)


def decode_srgb(encoded: np.ndarray) -> np.ndarray:
    """Inverse sRGB transfer function (IEC 61966-2-1)."""
    return np.where(encoded <= 0.04045, encoded / 12.92, ((np.maximum(encoded, 0) + 0.055) / 1.055) ** 2.4)


def look_up(image: Image, texture: Texture, uv: np.ndarray) -> np.ndarray:
    """The colour [N, 3] of an Image Texture at texture coordinates [N, 2]: one texel at a time, bilinear or nearest."""
    height, width = image.pixels.shape[:2]
    mapped = uv @ texture.uv_matrix[:, :2].T + texture.uv_matrix[:, 2]

    def index(i: int, n: int) -> int | None:
        if texture.extension == "REPEAT":
            return i % n
        if texture.extension == "EXTEND":
            return min(max(i, 0), n - 1)
        if texture.extension == "MIRROR":
            m = (i if i >= 0 else -i - 1) % (2 * n)
            return m if m < n else 2 * n - 1 - m
        return i if 0 <= i < n else None

    def texel(i: int, j: int) -> np.ndarray:
        row, column = index(i, height), index(j, width)
        return np.zeros(4) if row is None or column is None else image.pixels[row, column].astype(float)

    result = np.empty((len(mapped), 4))
    for number, (u, v) in enumerate(mapped):
        x, y = u * width, v * height
        if texture.interpolation == "Closest":
            result[number] = texel(int(np.floor(y)), int(np.floor(x)))
            continue
        x, y = x - 0.5, y - 0.5
        j, i = int(np.floor(x)), int(np.floor(y))
        fx, fy = x - j, y - i
        result[number] = (texel(i, j) * (1 - fx) + texel(i, j + 1) * fx) * (1 - fy) + (
            texel(i + 1, j) * (1 - fx) + texel(i + 1, j + 1) * fx
        ) * fy
    if texture.channel is not None:
        return np.repeat(result[:, texture.channel, None], 3, axis=1)
    return decode_srgb(result[:, :3]) if image.encoding == "sRGB" else result[:, :3]

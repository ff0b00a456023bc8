# SPDX-License-Identifier: GPL-3.0-or-later
"""Short, deterministic builders for Blender scenes; they use plain data access and run on Blender 4.2 to 5.x."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import bpy
import numpy as np
from mathutils import Vector

Vec3 = Sequence[float]


def new_scene(view_transform: str = "Standard") -> bpy.types.Scene:
    """An empty scene with a black world. Everything that was loaded before is gone."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.view_settings.view_transform = view_transform
    scene.view_settings.look = "None"
    set_world(scene, (0.0, 0.0, 0.0))
    return scene


def grid(
    points: np.ndarray, closed: bool = False, uv: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)
) -> tuple[np.ndarray, list[tuple[int, ...]], list[tuple[float, float]]]:
    """Quads over ``points`` [rows, columns, 3]: (vertices, faces, texture coordinates a corner).

    ``closed``: the last column joins the first. A row whose points coincide becomes one vertex (a pole). ``uv`` is the
    rectangle (u0, v0, u1, v1) of the texture that the grid covers. Faces look along d/dcolumn × d/drow.
    """
    rows, columns = points.shape[:2]
    vertices: list[np.ndarray] = []
    index = np.empty((rows, columns), int)
    for i in range(rows):
        if np.ptp(points[i], axis=0).max() < 1e-9:
            index[i] = len(vertices)
            vertices.append(points[i, 0])
        else:
            index[i] = np.arange(columns) + len(vertices)
            vertices.extend(points[i])
    faces: list[tuple[int, ...]] = []
    corners: list[tuple[float, float]] = []
    u0, v0, u1, v1 = uv
    steps = columns if closed else columns - 1
    for i in range(rows - 1):
        for j in range(steps):
            k = (j + 1) % columns
            quad = [(i, j, j), (i, k, j + 1), (i + 1, k, j + 1), (i + 1, j, j)]
            kept = {int(index[r, c]): (r, step) for r, c, step in quad}  # a pole appears twice: one corner of it stays
            faces.append(tuple(kept))
            pole = len(kept) == 3
            for r, step in kept.values():
                at_pole = pole and r in (0, rows - 1) and np.all(index[r] == index[r, 0])
                across = (j + 0.5) if at_pole else step
                corners.append((u0 + (u1 - u0) * across / steps, v0 + (v1 - v0) * r / (rows - 1)))
    return np.array(vertices), faces, corners


def add_mesh(
    name: str,
    parts: Sequence[tuple[np.ndarray, list[tuple[int, ...]], list[tuple[float, float]]]],
    materials: Sequence[bpy.types.Material],
    *,
    smooth: bool = True,
    location: Vec3 = (0.0, 0.0, 0.0),
    part_materials: Sequence[int] | None = None,
) -> bpy.types.Object:
    """An object of one or more grids, each with the slot that ``part_materials`` names (default: all slot 0)."""
    mesh = bpy.data.meshes.new(name)
    vertices: list[np.ndarray] = []
    faces: list[tuple[int, ...]] = []
    corners: list[tuple[float, float]] = []
    slots: list[int] = []
    for number, (points, part_faces, part_corners) in enumerate(parts):
        faces.extend(tuple(v + len(vertices) for v in face) for face in part_faces)
        slots.extend([part_materials[number] if part_materials else 0] * len(part_faces))
        corners.extend(part_corners)
        vertices.extend(points)
    mesh.from_pydata([tuple(map(float, v)) for v in vertices], [], faces)
    mesh.uv_layers.new(name="UVMap").data.foreach_set("uv", np.asarray(corners, np.float32).ravel())
    mesh.polygons.foreach_set("use_smooth", np.full(len(faces), smooth))
    for material in materials:
        mesh.materials.append(material)
    mesh.polygons.foreach_set("material_index", np.asarray(slots, np.int32))
    mesh.update()
    return link(bpy.data.objects.new(name, mesh), location)


def add_plane(
    name: str, material: bpy.types.Material, size: float = 10.0, location: Vec3 = (0.0, 0.0, 0.0)
) -> bpy.types.Object:
    """A square in the xy plane, facing up."""
    h = size / 2
    points = np.array([[(-h, -h, 0.0), (h, -h, 0.0)], [(-h, h, 0.0), (h, h, 0.0)]])
    return add_mesh(name, [grid(points)], [material], smooth=False, location=location)


def sphere_points(radius: float, rows: int = 64, columns: int = 128) -> np.ndarray:
    """Grid points of a sphere with both poles; closed in columns."""
    theta = np.linspace(-np.pi / 2, np.pi / 2, rows + 1)
    profile = np.stack([np.cos(theta) * radius, np.sin(theta) * radius], axis=-1)
    profile[[0, -1], 0] = 0.0
    return lathe_points(profile, columns)


def lathe_points(profile: np.ndarray, columns: int) -> np.ndarray:
    """Turn a profile [rows, 2] of (radius, z), from bottom to top, about the z axis; faces look outwards."""
    angle = 2 * np.pi * np.arange(columns) / columns
    r, z = profile[:, 0, None], profile[:, 1, None]
    return np.stack([r * np.cos(angle), r * np.sin(angle), np.broadcast_to(z, (len(profile), columns))], axis=-1)


def add_sphere(
    name: str, material: bpy.types.Material, radius: float = 1.0, location: Vec3 = (0.0, 0.0, 1.0), **size: int
) -> bpy.types.Object:
    """A smooth sphere."""
    return add_mesh(name, [grid(sphere_points(radius, **size), closed=True)], [material], location=location)


def link(obj: bpy.types.Object, location: Vec3) -> bpy.types.Object:
    """Put an object into the scene."""
    bpy.context.scene.collection.objects.link(obj)
    obj.location = location
    return obj


def aim(obj: bpy.types.Object, target: Vec3) -> None:
    """Turn the object's -Z axis to ``target``, +Y up."""
    obj.rotation_euler = (Vector(target) - obj.location).to_track_quat("-Z", "Y").to_euler()


def add_camera(
    name: str, location: Vec3, target: Vec3, lens: float = 50.0, **settings: float | str
) -> bpy.types.Object:
    """A camera that looks at ``target``; ``settings`` are properties of the camera datablock."""
    data = bpy.data.cameras.new(name)
    data.lens = lens
    for key, value in settings.items():
        setattr(data, key, value)
    obj = link(bpy.data.objects.new(name, data), location)
    aim(obj, target)
    return obj


def add_light(
    kind: str, location: Vec3, target: Vec3 = (0.0, 0.0, 0.0), name: str = "", **settings: float | str | bool | Vec3
) -> bpy.types.Object:
    """A light that shines at ``target``; ``settings`` are properties of the light datablock."""
    data = bpy.data.lights.new(name or kind.title(), kind)
    for key, value in settings.items():
        setattr(data, key, value)
    obj = link(bpy.data.objects.new(name or kind.title(), data), location)
    aim(obj, target)
    return obj


def add_image(name: str, values: np.ndarray, colorspace: str, *, is_float: bool = False) -> bpy.types.Image:
    """A packed image of ``values`` [H, W, 1, 3 or 4], row 0 at the bottom: stored values, encoded for sRGB."""
    height, width, channels = values.shape
    image = bpy.data.images.new(name, width, height, alpha=channels == 4, float_buffer=is_float)
    image.colorspace_settings.name = colorspace
    pixels = np.ones((height, width, 4), np.float32)
    pixels[..., : max(channels, 3)] = values if channels > 1 else np.repeat(values, 3, axis=-1)
    image.pixels.foreach_set(pixels.ravel())
    image.pack()
    return image


def encode_srgb(linear: np.ndarray) -> np.ndarray:
    """The sRGB transfer function, values clipped to [0, 1]."""
    x = np.clip(linear, 0.0, 1.0)
    return np.where(x <= 0.0031308, 12.92 * x, 1.055 * x ** (1 / 2.4) - 0.055)


def add_material(
    name: str,
    *,
    maps: dict[str, bpy.types.Image] | None = None,
    normal: bpy.types.Image | None = None,
    normal_strength: float = 1.0,
    mapping: dict[str, Vec3] | None = None,
    extension: str = "REPEAT",
    distribution: str = "MULTI_GGX",
    tangent: str = "",
    **sockets: float | Vec3,
) -> bpy.types.Material:
    """A Principled material: ``base_color=(r, g, b)`` and so on by socket name, ``maps`` by the same names,
    ``mapping`` with the inputs of a Mapping node before every map, ``tangent`` "UV" or a radial axis."""
    material = bpy.data.materials.new(name)
    material.use_nodes = True
    tree = material.node_tree
    principled = next(node for node in tree.nodes if node.type == "BSDF_PRINCIPLED")
    principled.distribution = distribution
    for key, value in sockets.items():
        socket = principled.inputs[_SOCKETS[key]]
        socket.default_value = (*value, 1.0) if isinstance(value, Sequence) else value
    if tangent:
        node = tree.nodes.new("ShaderNodeTangent")
        node.direction_type = "UV_MAP" if tangent == "UV" else "RADIAL"
        if tangent != "UV":
            node.axis = tangent
        tree.links.new(node.outputs["Tangent"], principled.inputs["Tangent"])
    coordinates = None
    if mapping is not None:
        node = tree.nodes.new("ShaderNodeMapping")
        for key, vector in mapping.items():
            node.inputs[key].default_value = vector
        tree.links.new(tree.nodes.new("ShaderNodeTexCoord").outputs["UV"], node.inputs["Vector"])
        coordinates = node.outputs["Vector"]

    def image_node(image: bpy.types.Image) -> bpy.types.Node:
        node = tree.nodes.new("ShaderNodeTexImage")
        node.image, node.extension = image, extension
        if coordinates is not None:
            tree.links.new(coordinates, node.inputs["Vector"])
        return node

    for key, image in (maps or {}).items():
        tree.links.new(image_node(image).outputs["Color"], principled.inputs[_SOCKETS[key]])
    if normal is not None:
        node = tree.nodes.new("ShaderNodeNormalMap")
        node.inputs["Strength"].default_value = normal_strength
        tree.links.new(image_node(normal).outputs["Color"], node.inputs["Color"])
        tree.links.new(node.outputs["Normal"], principled.inputs["Normal"])
    return material


_SOCKETS = {
    "base_color": "Base Color",
    "metallic": "Metallic",
    "roughness": "Roughness",
    "ior": "IOR",
    "specular_level": "Specular IOR Level",
    "specular_tint": "Specular Tint",
    "emission_color": "Emission Color",
    "emission_strength": "Emission Strength",
    "coat_weight": "Coat Weight",
    "coat_roughness": "Coat Roughness",
    "coat_ior": "Coat IOR",
    "coat_tint": "Coat Tint",
    "anisotropic": "Anisotropic",
    "anisotropic_rotation": "Anisotropic Rotation",
    "sheen_weight": "Sheen Weight",
    "sheen_roughness": "Sheen Roughness",
    "sheen_tint": "Sheen Tint",
    "alpha": "Alpha",
    "diffuse_roughness": "Diffuse Roughness",
    "transmission": "Transmission Weight",
    "subsurface": "Subsurface Weight",
    "subsurface_scale": "Subsurface Scale",
}


def set_world(
    scene: bpy.types.Scene,
    color: Vec3 = (1.0, 1.0, 1.0),
    strength: float = 1.0,
    image: bpy.types.Image | None = None,
    rotation: Vec3 | None = None,
) -> None:
    """A world of one colour or an environment image, optionally turned by a Mapping node (Euler angles)."""
    world = scene.world or bpy.data.worlds.new("World")
    scene.world = world
    world.use_nodes = True
    tree = world.node_tree
    tree.nodes.clear()
    background = tree.nodes.new("ShaderNodeBackground")
    background.inputs["Color"].default_value = (*color, 1.0)
    background.inputs["Strength"].default_value = strength
    tree.links.new(background.outputs["Background"], tree.nodes.new("ShaderNodeOutputWorld").inputs["Surface"])
    if image is None:
        return
    texture = tree.nodes.new("ShaderNodeTexEnvironment")
    texture.image = image
    tree.links.new(texture.outputs["Color"], background.inputs["Color"])
    if rotation is not None:
        node = tree.nodes.new("ShaderNodeMapping")
        node.inputs["Rotation"].default_value = rotation
        tree.links.new(tree.nodes.new("ShaderNodeTexCoord").outputs["Generated"], node.inputs["Vector"])
        tree.links.new(node.outputs["Vector"], texture.inputs["Vector"])


def environment_pixels(radiance: Callable[[np.ndarray], np.ndarray], height: int = 128) -> np.ndarray:
    """Equirectangular image [H, 2H, 3], row 0 at the bottom, of ``radiance(directions [H, 2H, 3])``."""
    theta = math.pi * ((np.arange(height) + 0.5) / height - 0.5)
    phi = -2 * math.pi * ((np.arange(2 * height) + 0.5) / (2 * height) - 0.5)
    t, f = np.meshgrid(theta, phi, indexing="ij")
    directions = np.stack([np.cos(t) * np.cos(f), np.cos(t) * np.sin(f), np.sin(t)], axis=-1)
    return radiance(directions).astype(np.float32)

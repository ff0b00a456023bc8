# SPDX-License-Identifier: GPL-3.0-or-later
"""One Principled BSDF in place of mixed shaders, with the parameters that the engine reads from them."""

from __future__ import annotations

import bpy
import numpy as np

from ..engine.scene import Image, Material, Socket, Texture
from .fit_settings import read_fit_settings
from .notes import Notes
from .read_image import DERIVED, ImageReader, decode_srgb, encode_srgb
from .read_material import MaterialReader
from .read_mesh import read_meshes
from .read_shader import SOCKETS
from .render_levels import render_evaluation
from .write_image import image_name, mark, new_image
from .write_material import MaterialTarget, write_socket

# targets that images can be written for, and the field of the material that holds each
_IMAGES = {"base_color": "base_color", "roughness": "roughness", "metallic": "metallic", "emission": "emission_color"}


def read_mixture(scene: bpy.types.Scene, material: bpy.types.Material) -> tuple[Material, ImageReader] | None:
    """A material as the engine sees it, baked where it must be, and the images of its textures; None where it holds a
    shader that is not understood."""
    notes = Notes()
    images = ImageReader(notes)
    reader = MaterialReader(images, notes)
    with render_evaluation(scene) as depsgraph:
        meshes = read_meshes(depsgraph, reader, notes)
        key = reader.key(material, "")
        reader.finish(meshes, depsgraph, read_fit_settings(scene).texture_size, only=key)
    return None if key in reader.unknown else (reader.materials[key], images)


def let_take_over(
    material: bpy.types.Material, principled: bpy.types.Node, read: Material, images: ImageReader
) -> None:
    """Give a new Principled BSDF what was read: constants, and images for what varies over the surface.

    What cannot be an image here (index of refraction and tints) becomes its mean.
    """
    for name, (field, size) in SOCKETS.items():
        if name not in principled.inputs:  # Diffuse Roughness came with 4.3
            continue
        value = getattr(read, field).value
        principled.inputs[name].default_value = (*value, 1.0) if size == 3 else float(value[0])
    principled.distribution = "MULTI_GGX" if read.multiscatter else "GGX"
    target = MaterialTarget(material, principled)
    for what, field in _IMAGES.items():
        socket: Socket = getattr(read, field)
        if socket.texture is not None and _is_plain(socket.texture):
            image = _datablock(material, what, images.images[socket.texture.image], socket)
            strength = principled.inputs["Emission Strength"].default_value
            write_socket(target, what, image, Notes())
            principled.inputs["Emission Strength"].default_value = strength
    if read.normal is not None and _is_plain(read.normal.texture):
        stored = images.images[read.normal.texture.image]
        image = _datablock(material, "normal", stored, Socket(np.zeros(3, np.float32), read.normal.texture))
        write_socket(target, "normal", image, Notes())
        normal_map = principled.inputs["Normal"].links[0].from_node
        normal_map.inputs["Strength"].default_value = read.normal.strength


def _is_plain(texture: Texture) -> bool:
    """Whether a texture lies on the active UV map as it is."""
    return texture.uv_map is None and np.allclose(texture.uv_matrix, np.eye(2, 3))


def _datablock(material: bpy.types.Material, what: str, image: Image, socket: Socket) -> bpy.types.Image:
    """An image that gives a socket what it was read as: the artist's own where it is one, else a new one."""
    texture = socket.texture
    assert texture is not None
    own = bpy.data.images.get(texture.image)
    if not texture.image.startswith(DERIVED) and texture.channel is None and own is not None:
        return own
    pixels = image.pixels[..., :3] if texture.channel is None else image.pixels[..., [texture.channel]]
    linear = decode_srgb(pixels) if image.encoding == "sRGB" and texture.channel != 3 else pixels
    if what == "emission" or linear.max() > 1:
        space, bits, stored = "Linear Rec.709", 32, linear
    elif what == "base_color":
        space, bits, stored = "sRGB", 16, encode_srgb(linear)
    else:
        space, bits, stored = "Non-Color", 16, linear
    made = new_image(image_name(material.name_full, what), stored, space, bits)
    mark(made, material.name_full, what)
    return made

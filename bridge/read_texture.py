# SPDX-License-Identifier: GPL-3.0-or-later
"""Image Texture nodes with what leads to and from them: Mapping, UV Map, Texture Coordinate, Separate Color.

Traps handled here: a Mapping node of type TEXTURE is the inverse of POINT; an Image Texture without a linked vector
uses the active render UV map; an empty UV Map node too; a "Vector" input of Mapping that is unconnected is a constant
and not the UV map.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import get_args

import numpy as np

from ..engine.color import srgb_decode
from ..engine.scene import Extension, Texture
from .nodes import Source, constant, follow
from .notes import Notes
from .read_image import ImageReader

_CHANNELS = {"Red": 0, "Green": 1, "Blue": 2, "R": 0, "G": 1, "B": 2}


@dataclass(frozen=True)
class TextureReader:
    """Turns node graphs of one material into :class:`Texture`; findings go to ``notes`` under ``owner``."""

    images: ImageReader
    notes: Notes
    owner: str

    def read(self, source: Source) -> Texture | None:
        """The texture behind a source, or None where it is no image texture that the engine understands."""
        channel: int | None = None
        if source.node is not None and source.node.bl_idname in {"ShaderNodeSeparateColor", "ShaderNodeSeparateRGB"}:
            if getattr(source.node, "mode", "RGB") != "RGB":
                return None
            assert source.output is not None
            channel = _CHANNELS[source.output.name]
            source = follow(source.node.inputs[0], source.groups)
        node, output = source.node, source.output
        if node is None or output is None or node.bl_idname != "ShaderNodeTexImage":
            return None
        if node.image is None:
            self.notes.error(self.owner, f"{source.described} has no image; the socket's default value is used")
            return None
        if output.name == "Alpha":
            channel = 3
        straight = node.outputs["Alpha"].is_linked
        uv_map, matrix = self._coordinates(source)
        self._check_node(source)
        extension = node.extension
        if extension not in get_args(Extension):
            self.notes.approximated(self.owner, f"{source.described}: extension {extension} is treated as Repeat")
            extension = "REPEAT"
        return Texture(
            image=self.images.key(node.image, straight),
            uv_map=uv_map,
            uv_matrix=matrix.astype(np.float32),
            extension=extension,
            interpolation="Closest" if node.interpolation == "Closest" else "Linear",
            channel=channel,
            # a node inside a group serves every user of the group: it is not re-pointed but replaced
            node="" if source.groups else node.name,
        )

    def needs_baking(self, source: Source) -> bool:
        """Whether an Image Texture node looks its image up in a way that :meth:`read` only comes close to."""
        node = source.node
        assert node is not None
        unknown = Notes()
        replace(self, notes=unknown)._coordinates(source)
        return bool(unknown.as_list()) or node.projection != "FLAT" or node.extension not in get_args(Extension)

    def mean(self, texture: Texture, size: int) -> np.ndarray:
        """Mean of a texture that has been read, scene-linear, as a socket of ``size`` components takes it [size]."""
        image = self.images.images[texture.image]
        rgb = image.pixels[..., :3].astype(np.float64)
        if image.encoding == "sRGB":
            rgb = srgb_decode(rgb)
        values = rgb.mean(axis=(0, 1))
        if texture.channel is not None:
            values = np.full(3, values[texture.channel] if texture.channel < 3 else image.pixels[..., 3].mean())
        return (values if size == 3 else np.array([values @ (0.2126, 0.7152, 0.0722)])).astype(np.float32)

    def _check_node(self, source: Source) -> None:
        node = source.node
        assert node is not None
        if node.interpolation in {"Cubic", "Smart"}:
            self.notes.approximated(
                self.owner, f"{source.described}: {node.interpolation} interpolation is done linearly"
            )
        if node.projection != "FLAT":
            self.notes.approximated(
                self.owner,
                f"{source.described}: {node.projection.title()} projection is not supported; treated as Flat",
            )
        mapping = node.texture_mapping
        if tuple(mapping.translation) + tuple(mapping.rotation) != (0.0,) * 6 or tuple(mapping.scale) != (1.0,) * 3:
            self.notes.ignored(self.owner, f"{source.described}: the texture mapping hidden in the node has no effect")

    def _coordinates(self, texture: Source) -> tuple[str | None, np.ndarray]:
        """UV map and affine map [2, 3] of a texture node's Vector input."""
        total = np.eye(4)
        source = texture.input("Vector")
        for _ in range(100):
            if source.node is None:
                if source.socket is not None and source.socket.node.bl_idname == "ShaderNodeMapping":
                    self.notes.approximated(
                        self.owner, f'node "{source.socket.node.name}" (Mapping) has no texture coordinate; UV is used'
                    )
                return None, total[:2, [0, 1, 3]]
            node, kind = source.node, source.node.bl_idname
            if kind == "ShaderNodeMapping":
                matrix = mapping_matrix(source)
                if matrix is None:
                    self.notes.approximated(
                        self.owner,
                        f"{source.described}: linked or singular settings, or type Normal: it has no effect",
                    )
                else:
                    total = total @ matrix
                source = source.input("Vector")
                continue
            assert source.output is not None
            if kind == "ShaderNodeUVMap" and not node.from_instancer:
                return node.uv_map or None, total[:2, [0, 1, 3]]
            if kind == "ShaderNodeTexCoord" and source.output.name == "UV" and not node.from_instancer:
                return None, total[:2, [0, 1, 3]]
            if kind == "ShaderNodeAttribute" and node.attribute_type == "GEOMETRY":
                return node.attribute_name or None, total[:2, [0, 1, 3]]
            self.notes.approximated(
                self.owner,
                f'{source.described}: texture coordinate "{source.output.name}" is not supported; '
                "the active UV map is used",
            )
            break
        return None, total[:2, [0, 1, 3]]


def mapping_matrix(mapping: Source, of_directions: bool = False) -> np.ndarray | None:
    """The [4, 4] matrix of a Mapping node, or None where it has none: linked settings, scale 0, or normalising.

    POINT: p' = R (s p) + t; TEXTURE: the inverse of that; VECTOR: without t; NORMAL: R (p / s), normalised, which
    only matters where the result is no direction. R is Blender's Euler XYZ rotation, Rz Ry Rx.
    """
    node = mapping.node
    assert node is not None
    kind = node.vector_type
    # sockets that a type does not use cannot be found by name
    settings = {
        name: constant(mapping.input(name)) if mapping.has_input(name) else (0.0, 0.0, 0.0)
        for name in ("Location", "Rotation", "Scale")
    }
    if any(value is None or len(value) != 3 for value in settings.values()):
        return None
    location, rotation, scale = (np.array(value, np.float64) for value in settings.values())
    if kind in {"TEXTURE", "NORMAL"} and (scale == 0).any():
        return None
    if kind == "NORMAL":
        if not of_directions:
            return None
        scale = 1 / scale
    matrix = np.eye(4)
    matrix[:3, :3] = euler_xyz(rotation) @ np.diag(scale)
    if kind in {"POINT", "TEXTURE"}:
        matrix[:3, 3] = location
    return np.linalg.inv(matrix) if kind == "TEXTURE" else matrix


def euler_xyz(angles: np.ndarray) -> np.ndarray:
    """Rotation matrix [3, 3] of Blender's XYZ Euler angles in radians."""
    (sx, sy, sz), (cx, cy, cz) = np.sin(angles), np.cos(angles)
    x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return z @ y @ x

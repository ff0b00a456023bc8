# SPDX-License-Identifier: GPL-3.0-or-later
"""Textures that no image datablock holds: what nodes make of image textures, and mixtures of sockets.

Cycles computes nodes at each sample of an interpolated texture; here they are computed for each texel and
interpolated afterwards, in the encoding of the original. Small images, whose texels differ most and are seen largest,
are interpolated to finer texels first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np

from ..engine.scene import Image, Socket, Texture
from . import node_maths
from .node_values import Evaluator, NotUnderstoodError
from .nodes import Source
from .read_image import DERIVED, ImageReader, decode_srgb, encode_srgb
from .read_texture import TextureReader

_FINER = 4  # texels along each edge of one of a small image …
_FINE = 1024  # … as long as no edge gets more than these
_NO_TEXTURE = np.zeros((1, 1, 4), np.float32)


@dataclass(frozen=True)
class DerivedTextures:
    """Makes sockets of one material; their pixels go to ``images``."""

    images: ImageReader
    textures: TextureReader
    material: str

    def from_nodes(self, source: Source, size: int, name: str) -> Socket:
        """What a chain of colour and number nodes gives to an input of ``size`` components.

        Raises :class:`NotUnderstoodError` where a node or the coordinates of a texture are not known, or textures of
        one chain lie differently.
        """
        found, value = self.textures_of(source, size)
        if not found:
            return Socket(value.reshape(size))
        common = self._common(list(found.values()))
        if common is None:
            raise NotUnderstoodError(source)
        height, width = self._size(list(found.values()))
        result = Evaluator(lambda asked: self.texels(found[asked], height, width)).value(source, size)
        return self._socket(result, common, list(found.values()), name)

    def textures_of(self, source: Source, size: int) -> tuple[dict[Source, Texture], np.ndarray]:
        """The Image Texture nodes of a chain, and what it would give were they all black.

        Raises :class:`NotUnderstoodError` where a node or the coordinates of a texture are not known.
        """
        found: dict[Source, Texture] = {}

        def note(texture_source: Source) -> np.ndarray:
            if self.textures.needs_baking(texture_source):
                raise NotUnderstoodError(texture_source)
            assert texture_source.node is not None
            texture = self.textures.read(replace(texture_source, output=texture_source.node.outputs["Color"]))
            if texture is None:
                raise NotUnderstoodError(texture_source)
            found[texture_source] = texture
            return _NO_TEXTURE

        value = Evaluator(note).value(source, size)
        return found, value

    def lie_alike(self, textures: Iterable[Texture]) -> bool:
        """Whether textures can be computed with texel by texel."""
        return self._common(list(textures)) is not None

    def combine(
        self, sockets: list[Socket], function: Callable[..., np.ndarray], name: str, sizes: list[int]
    ) -> Socket | None:
        """``function`` of several sockets, each spread to one of ``sizes``; None where their textures lie
        differently."""
        textures = [socket.texture for socket in sockets if socket.texture is not None]
        if not textures:
            values = (
                _spread(socket.value.reshape(1, 1, -1), size) for socket, size in zip(sockets, sizes, strict=True)
            )
            return Socket(np.asarray(function(*values), np.float32).reshape(-1))
        common = self._common(textures)
        if common is None:
            return None
        height, width = self._size(textures)
        values = (self._values(socket, size, height, width) for socket, size in zip(sockets, sizes, strict=True))
        return self._socket(np.asarray(function(*values)), common, textures, name)

    def add(self, pixels: np.ndarray, name: str, size: int, repeat: bool) -> Socket:
        """A socket of linear pixels [H, W, 3] that lie on the active UV map."""
        place = Texture("", extension="REPEAT" if repeat else "EXTEND")
        return self._socket(pixels[..., :size], place, [], name)

    def _values(self, socket: Socket, size: int, height: int, width: int) -> np.ndarray:
        if socket.texture is None:
            return _spread(socket.value.reshape(1, 1, -1), size)
        texels = self.texels(socket.texture, height, width)
        channel = socket.texture.channel
        return _spread(texels[..., :3] if channel is None else texels[..., channel : channel + 1], size)

    def _common(self, textures: list[Texture]) -> Texture | None:
        first = textures[0]
        alike = all(
            (texture.uv_map, texture.extension, texture.interpolation)
            == (first.uv_map, first.extension, first.interpolation)
            and np.allclose(texture.uv_matrix, first.uv_matrix)
            for texture in textures
        )
        # outside of a clipped image there is black, which nodes may turn into anything
        return first if alike and first.extension != "CLIP" else None

    def _size(self, textures: list[Texture]) -> tuple[int, int]:
        shapes = [self.images.images[texture.image].pixels.shape for texture in textures]
        height, width = max(shape[0] for shape in shapes), max(shape[1] for shape in shapes)
        interpolated = height * width > 1 and textures[0].interpolation == "Linear"
        finer = max(1, min(_FINER, _FINE // max(height, width))) if interpolated else 1
        return height * finer, width * finer

    def texels(self, texture: Texture, height: int, width: int) -> np.ndarray:
        """Decoded RGBA [height, width, 4] of a texture's image."""
        image = self.images.images[texture.image]
        pixels = resampled(image.pixels, height, width, texture)
        if image.encoding == "sRGB":
            pixels = np.concatenate([decode_srgb(pixels[..., :3]), pixels[..., 3:]], -1)
        return pixels

    def _socket(self, values: np.ndarray, common: Texture, textures: list[Texture], name: str) -> Socket:
        values = np.nan_to_num(np.asarray(values, np.float32), posinf=0.0, neginf=0.0)
        size = values.shape[-1]
        encoded = bool(textures) and all(self.images.images[texture.image].encoding == "sRGB" for texture in textures)
        encoded = encoded and bool((values >= 0).all())
        if len(textures) and values.shape[:2] == (1, 1):
            return Socket(values.reshape(size))  # the textures have no say
        pixels = np.ones((*values.shape[:2], 4), np.float32)
        pixels[..., :3] = encode_srgb(values) if encoded else values
        key = self.images.add(f"{DERIVED}{self.material}: {name}", Image("", pixels, "sRGB" if encoded else "linear"))
        texture = replace(common, image=key, channel=0 if size == 1 else None, node="")
        return Socket(values.reshape(-1, size).mean(0), texture)


def _spread(values: np.ndarray, size: int) -> np.ndarray:
    if values.shape[-1] == size:
        return values
    return np.repeat(values, size, -1) if size == 3 else node_maths.luminance(values)


def resampled(pixels: np.ndarray, height: int, width: int, texture: Texture) -> np.ndarray:
    """Stored pixels looked up at the texel centres of another size, as the texture node looks them up."""
    if pixels.shape[:2] == (height, width):
        return pixels
    for axis, size in ((0, height), (1, width)):
        old = pixels.shape[axis]
        place = (np.arange(size) + 0.5) / size * old
        if texture.interpolation == "Closest":
            pixels = pixels.take(np.floor(place).astype(int), axis)
            continue
        place = place - 0.5
        low = np.floor(place).astype(int)
        part = (place - low).reshape((-1, 1, 1) if axis == 0 else (1, -1, 1)).astype(np.float32)
        below, above = (_wrapped(index, old, texture.extension) for index in (low, low + 1))
        pixels = pixels.take(below, axis) * (1 - part) + pixels.take(above, axis) * part
    return pixels


def _wrapped(index: np.ndarray, size: int, extension: str) -> np.ndarray:
    return index % size if extension == "REPEAT" else index.clip(0, size - 1)

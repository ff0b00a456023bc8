# SPDX-License-Identifier: GPL-3.0-or-later
"""Fitted values taken back through the nodes between an artist's image and a socket, so that these nodes can stay.

The chain is a function of one image's texel, whatever nodes it is made of. It is inverted texel by texel in the stored
encodings: a scan over greys brackets each channel, bisection narrows it (exact where channels do not mix), damped
Gauss-Newton steps see to the rest. The image is kept only if the chain, computed on the rounded texels, gives the
fitted values again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import bpy
import numpy as np

from ..engine.result import FittedImage
from ..engine.scene import Texture
from .derived_texture import DerivedTextures
from .node_values import Evaluator, NotUnderstoodError
from .nodes import Source, follow
from .notes import Notes, label
from .read_image import ImageReader, decode_srgb, encode_srgb
from .read_texture import TextureReader

Array = np.ndarray
Function = Callable[[Array, Array], Array]  # stored texels [n, 3], numbers of the texels [n] -> stored values [n, C]

TOLERANCE = 1 / 255  # of a stored value, at the 99th percentile
_GOOD = TOLERANCE / 8  # no more steps below
_SCAN = 17
_BISECTIONS = 14
_STEPS = 10
_DIFFERENCE = 1e-3
_TRIAL = 2048  # texels that choose the image
_CHUNK = 1 << 16
_LEVELS = 1023  # steps of colours that count as equal, where the chain does not vary over the texture


@dataclass(frozen=True)
class Place:
    """Where a fitted image goes.

    ``node`` takes ``image`` and feeds the socket, perhaps through other nodes. Where it is None the nodes before the
    socket have to be replaced, ``why`` says for what reason, and ``sampled_as`` has the coordinates that the fit used.
    """

    node: bpy.types.Node | None
    image: FittedImage
    why: str = ""
    sampled_as: bpy.types.Node | None = None


def place_in_chain(
    material: bpy.types.Material, entry: bpy.types.NodeSocket, fitted: FittedImage, coverage: Array | None
) -> Place | None:
    """The place of a fitted image in the chain of nodes before the input ``entry``; None where there is no chain.

    ``coverage`` [h, w]: texels of which it is 0 may come out as they like. Changes nothing.
    """
    source = follow(entry)
    if source.node is None or source.node.bl_idname == "ShaderNodeTexImage":
        return None
    images = ImageReader(Notes())
    derived = DerivedTextures(images, TextureReader(images, Notes(), label(material)), material.name_full)
    size = fitted.pixels.shape[2]
    try:
        found, _ = derived.textures_of(source, size)
    except NotUnderstoodError as error:
        return Place(None, fitted, f"{error.source.described} was baked")
    if not found:
        return None
    if not derived.lie_alike(found.values()):
        return Place(None, fitted, "its textures do not lie alike, so it was baked")
    sampled_as = next((one.node for one in found if not one.groups), None)
    if fitted.socket == "emission":
        return Place(None, fitted, "an image of radiance does not go through nodes made for colours", sampled_as)
    own = [one for one in found if not one.groups and one.output is not None and one.output.name == "Color"]
    own = [one for one in own if _takes_an_image(one.node) and _serves_only(one.node, entry)]
    if not own:
        return Place(None, fitted, "its image also serves something else", sampled_as)
    chain = _Chain(derived, source, found, fitted, coverage)
    trials = [chain.trial_error(one) for one in own]
    best = int(np.argmin(trials))
    if trials[best] <= TOLERANCE:
        inverted = chain.inverted(own[best])
        if inverted is not None:
            return Place(own[best].node, inverted)
    return Place(None, fitted, f"fitted values lie outside of what {source.described} can give", sampled_as)


def _takes_an_image(node: bpy.types.Node | None) -> bool:
    """Whether a node shows all of one image, as the fitted one is."""
    assert node is not None
    return node.image.source in {"FILE", "GENERATED"} and not node.outputs["Alpha"].is_linked


def _serves_only(node: bpy.types.Node | None, entry: bpy.types.NodeSocket) -> bool:
    """Whether all that a node feeds, through other nodes, ends at one input."""
    pending, seen = [node], set()
    while pending:
        feeding = pending.pop()
        assert feeding is not None
        for link in (link for output in feeding.outputs for link in output.links if link.to_socket != entry):
            fed = link.to_node
            if fed.bl_idname in {"ShaderNodeOutputMaterial", "ShaderNodeOutputAOV", "NodeGroupOutput"} or any(
                output.type == "SHADER" for output in fed.outputs
            ):
                return False
            if fed.as_pointer() not in seen:
                seen.add(fed.as_pointer())
                pending.append(fed)
    return True


class _Chain:
    """One chain of nodes and the values that it has to give."""

    def __init__(
        self,
        derived: DerivedTextures,
        source: Source,
        found: dict[Source, Texture],
        fitted: FittedImage,
        coverage: Array | None,
    ) -> None:
        height, width, self._size = fitted.pixels.shape
        self._source, self._found, self._fitted = source, found, fitted
        self._texels = {
            one: derived.texels(texture, height, width).reshape(-1, 4).astype(np.float32)
            for one, texture in found.items()
        }
        self._encoded = {one: derived.images.images[found[one].image].encoding == "sRGB" for one in found}
        self._target = fitted.pixels.reshape(-1, self._size).clip(0, 1).astype(np.float32)
        seen = np.ones((height, width), bool) if coverage is None else _spread(coverage > 0, height, width)
        self._seen = np.flatnonzero(seen.ravel()) if seen.any() else np.arange(height * width)

    def trial_error(self, own: Source) -> float:
        """The error that inverting for one image leaves, found on some of the texels."""
        picked = np.random.default_rng(0).choice(self._seen, min(_TRIAL, len(self._seen)), replace=False)
        function = self._function(own)
        texels = _solve(function, self._target[picked], picked)
        return self._error(function, texels, picked)

    def inverted(self, own: Source) -> FittedImage | None:
        """The image that gives the fitted values, None where there is none."""
        function = self._function(own)
        numbers, places = self._different(own)
        texels = np.concatenate(
            [_solve(function, self._target[part], part) for part in np.split(numbers, _ends(len(numbers)))]
        )[places]
        encoding: Literal["sRGB", "linear"] = "sRGB" if self._encoded[own] else "linear"
        kinds: tuple[Literal[8, 16], ...] = (8, 16) if self._fitted.bits == 8 and encoding == "sRGB" else (16,)
        for bits in kinds:
            levels = 2**bits - 1
            rounded = (np.round(texels * levels) / levels).astype(np.float32)
            if self._error(function, rounded[self._seen], self._seen) <= TOLERANCE:
                shape = (*self._fitted.pixels.shape[:2], 3)
                return replace(self._fitted, pixels=rounded.reshape(shape), encoding=encoding, bits=bits)
        return None

    def _different(self, own: Source) -> tuple[Array, Array]:
        """Numbers of texels that differ in what the chain has to give, and for each texel which of them it is like."""
        everything = np.arange(len(self._target))
        if any(one.node != own.node or one.groups for one in self._found):
            return everything, everything
        levels = _LEVELS if self._size == 3 else 65535
        steps = np.round(self._target * levels).astype(np.int64)
        key = steps @ (levels + 1) ** np.arange(self._size)
        _, numbers, places = np.unique(key, return_index=True, return_inverse=True)
        return numbers, places.reshape(-1)

    def _function(self, own: Source) -> Function:
        """The chain as a function of the stored texels of one image."""

        def run(stored: Array, numbers: Array) -> Array:
            linear = decode_srgb(stored) if self._encoded[own] else stored.astype(np.float32)
            rgba = np.concatenate([linear, np.ones((len(linear), 1), np.float32)], -1)[None]

            def texels(asked: Source) -> Array:
                return rgba if asked.node == own.node and not asked.groups else self._texels[asked][numbers][None]

            values = Evaluator(texels).value(self._source, self._size)[0]
            values = np.nan_to_num(np.broadcast_to(values, (len(stored), self._size)), posinf=1e6, neginf=-1e6)
            return encode_srgb(values) if self._fitted.encoding == "sRGB" else values

        return run

    def _error(self, function: Function, texels: Array, numbers: Array) -> float:
        errors = [
            np.abs(function(texels[part], numbers[part]).clip(0, 1) - self._target[numbers[part]]).max(-1)
            for part in np.split(np.arange(len(numbers)), _ends(len(numbers)))
        ]
        return float(np.quantile(np.concatenate(errors), 0.99))


def _ends(count: int) -> range:
    return range(_CHUNK, count, _CHUNK)


def _spread(mask: Array, height: int, width: int) -> Array:
    rows, columns = (np.arange(size) * old // size for size, old in zip((height, width), mask.shape, strict=True))
    return mask[rows[:, None], columns]


def _solve(function: Function, target: Array, numbers: Array) -> Array:
    """Stored texels [n, 3] in 0 … 1 whose values come as close to ``target`` [n, C] as they can."""
    greys = np.linspace(0, 1, _SCAN, dtype=np.float32)
    scan = np.stack([function(np.full((len(target), 3), grey, np.float32), numbers) for grey in greys])
    nearest = np.abs(scan - target).max(-1).argmin(0)
    best = np.repeat(greys[nearest][:, None], 3, 1)
    residual = np.take_along_axis(scan, nearest[None, :, None], 0)[0] - target
    trial = _bisect(function, target, numbers, greys, scan)
    other = function(trial, numbers) - target
    better = np.abs(other).max(-1) < np.abs(residual).max(-1)
    best[better], residual[better] = trial[better], other[better]
    damping = np.full(len(target), 1e-4)
    for _ in range(_STEPS):
        left = np.flatnonzero(np.abs(residual).max(-1) > _GOOD)
        if not len(left):
            break
        step = _newton_step(function, best[left], residual[left], numbers[left], damping[left])
        trial = (best[left] - step).clip(0, 1)
        other = function(trial, numbers[left]) - target[left]
        better = np.square(other).sum(-1) < np.square(residual[left]).sum(-1)
        best[left[better]], residual[left[better]] = trial[better], other[better]
        damping[left] *= np.where(better, 0.2, 10)
    return best


def _bisect(function: Function, target: Array, numbers: Array, greys: Array, scan: Array) -> Array:
    """Texels found by each channel on its own, [n, 3]; greys for a chain that gives numbers."""
    above = scan > target
    crossing = (above[1:] != above[:-1]).argmax(0)  # [n, C], the first interval where there is none
    low, high = greys[crossing], greys[crossing + 1]
    rising = ~np.take_along_axis(above, crossing[None], 0)[0]
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        texels = np.broadcast_to(middle, (len(middle), 3)).astype(np.float32)
        upper = (function(texels, numbers) > target) == rising
        low, high = np.where(upper, low, middle), np.where(upper, middle, high)
    return np.broadcast_to((low + high) / 2, (len(low), 3)).astype(np.float32)


def _newton_step(function: Function, texels: Array, residual: Array, numbers: Array, damping: Array) -> Array:
    """Damped Gauss-Newton step [n, 3], with differences towards the middle of the range."""
    jacobian = np.empty((len(texels), residual.shape[1], 3))
    moves = np.where(texels > 0.5, -_DIFFERENCE, _DIFFERENCE).astype(np.float32)
    here = function(texels, numbers)
    for axis in range(3):
        moved = texels.copy()
        moved[:, axis] += moves[:, axis]
        jacobian[..., axis] = (function(moved, numbers) - here) / moves[:, axis, None]
    transposed = jacobian.transpose(0, 2, 1)
    normal = transposed @ jacobian
    normal += (damping * (1 + np.trace(normal, axis1=1, axis2=2)))[:, None, None] * np.eye(3)
    return np.linalg.solve(normal, transposed @ residual[..., None].astype(np.float64))[..., 0].astype(np.float32)

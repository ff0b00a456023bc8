# SPDX-License-Identifier: GPL-3.0-or-later
"""Colour and number nodes between image textures and a socket, computed as Cycles computes them.

Sockets are addressed by identifier: names repeat within a node and differ between versions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import bpy
import numpy as np

from . import node_maths as maths
from .nodes import Source, by_identifier, follow

Array = np.ndarray

_NUMBERS = {"VALUE", "INT", "BOOLEAN"}


class NotUnderstoodError(Exception):
    """A node that has to be baked; ``source`` is that node."""

    def __init__(self, source: Source) -> None:
        super().__init__(source.described)
        self.source = source


class Evaluator:
    """Values of sources; ``texels`` gives the decoded RGBA [H, W, 4] of an Image Texture node, all of one size."""

    def __init__(self, texels: Callable[[Source], Array]) -> None:
        self._texels = texels
        self._known: dict[tuple[object, ...], Array] = {}

    def value(self, source: Source, size: int) -> Array:
        """What a source gives to an input of ``size`` components: [H, W, size], or [1, 1, size] for a constant.

        Raises :class:`NotUnderstoodError`.
        """
        if source.node is None:
            assert source.socket is not None
            socket, found = source.socket, _default(source.socket)
        else:
            assert source.output is not None
            socket, found = source.output, self._output(source)
        if found.shape[-1] == size:
            return found
        if size == 3:
            return np.repeat(found, 3, axis=-1)
        return found.mean(-1, keepdims=True) if socket.type == "VECTOR" else maths.luminance(found)

    def _output(self, source: Source) -> Array:
        node, output = source.node, source.output
        assert node is not None
        assert output is not None
        key = (node.as_pointer(), output.identifier, *(group.as_pointer() for group in source.groups))
        if key not in self._known:
            compute = _NODES.get(node.bl_idname)
            if compute is None:
                raise NotUnderstoodError(source)
            with np.errstate(all="ignore"):
                self._known[key] = np.asarray(compute(self, source), np.float32)
        return self._known[key]

    def input(self, source: Source, identifier: str, size: int) -> Array:
        """The value of one of a node's inputs."""
        assert source.node is not None
        socket = by_identifier(source.node.inputs, identifier)
        if socket is None:
            raise NotUnderstoodError(source)
        return self.value(follow(socket, source.groups), size)

    def texels(self, source: Source) -> Array:
        """The pixels of an Image Texture node."""
        return self._texels(source)


def _default(socket: bpy.types.NodeSocket) -> Array:
    value: Any = getattr(socket, "default_value", 0.0)  # a shader socket has none
    parts = [float(value)] if socket.type in _NUMBERS else [float(part) for part in value[:3]]
    return np.array(parts, np.float32).reshape(1, 1, -1)


def _is(source: Source, *identifiers: str) -> bool:
    assert source.output is not None
    return source.output.identifier in identifiers


def _image(values: Evaluator, source: Source) -> Array:
    rgba = values.texels(source)
    return rgba[..., 3:] if _is(source, "Alpha") else rgba[..., :3]


def _own_value(_values: Evaluator, source: Source) -> Array:
    assert source.node is not None
    return _default(source.node.outputs[0])


def _blended(source: Source, a: Array, b: Array, t: Array, clamp: bool) -> Array:
    assert source.node is not None
    shape = np.broadcast_shapes(a.shape, b.shape, (*t.shape[:-1], 3))
    result = maths.BLENDS[source.node.blend_type](np.broadcast_to(a, shape), np.broadcast_to(b, shape), t)
    return result.clip(0, 1) if clamp else result


def _mix(values: Evaluator, source: Source) -> Array:
    node = source.node
    assert node is not None
    kind = {"FLOAT": "Float", "VECTOR": "Vector", "RGBA": "Color"}.get(node.data_type)
    if kind is None or not _is(source, f"Result_{kind}"):
        raise NotUnderstoodError(source)
    size = 1 if kind == "Float" else 3
    apart = kind == "Vector" and node.factor_mode == "NON_UNIFORM"
    t = values.input(source, "Factor_Vector", 3) if apart else values.input(source, "Factor_Float", 1)
    t = t.clip(0, 1) if node.clamp_factor else t
    a, b = (values.input(source, f"{which}_{kind}", size) for which in "AB")
    return _blended(source, a, b, t, node.clamp_result) if kind == "Color" else maths.lerp(a, b, t)


def _mix_rgb(values: Evaluator, source: Source) -> Array:
    assert source.node is not None
    t = values.input(source, "Fac", 1).clip(0, 1)
    a, b = values.input(source, "Color1", 3), values.input(source, "Color2", 3)
    return _blended(source, a, b, t, source.node.use_clamp)


def _math(values: Evaluator, source: Source) -> Array:
    node = source.node
    assert node is not None
    if node.operation not in maths.MATHS:
        raise NotUnderstoodError(source)
    inputs = (values.input(source, name, 1) for name in ("Value", "Value_001", "Value_002"))
    result = maths.MATHS[node.operation](*inputs)
    return result.clip(0, 1) if node.use_clamp else result


def _map_range(values: Evaluator, source: Source) -> Array:
    node = source.node
    assert node is not None
    if node.data_type != "FLOAT":
        raise NotUnderstoodError(source)
    low, high, to_low, to_high = (
        values.input(source, name, 1) for name in ("From Min", "From Max", "To Min", "To Max")
    )
    value, steps = values.input(source, "Value", 1), values.input(source, "Steps", 1)
    return maths.map_range(node.interpolation_type, value, (low, high, to_low, to_high), steps, node.clamp)


def _ramp(values: Evaluator, source: Source) -> Array:
    assert source.node is not None
    ramp = source.node.color_ramp
    # in single precision, which decides where a step falls
    places = np.arange(maths.TABLE_SIZE, dtype=np.float32) / np.float32(maths.TABLE_SIZE - 1)
    table = np.array([tuple(ramp.evaluate(float(place))) for place in places], np.float32)
    rgba = maths.look_up(table, values.input(source, "Fac", 1)[..., 0], ramp.interpolation != "CONSTANT")
    return rgba[..., 3:] if _is(source, "Alpha") else rgba[..., :3]


def _curves(values: Evaluator, source: Source) -> Array:
    assert source.node is not None
    mapping = source.node.mapping
    mapping.initialize()
    low = min(curve.points[0].location[0] for curve in mapping.curves)
    high = max(curve.points[len(curve.points) - 1].location[0] for curve in mapping.curves)
    *channels, combined = mapping.curves
    colour = values.input(source, "Color", 3)
    spread = high - low if high > low else 1.0
    extrapolate = mapping.extend == "EXTRAPOLATED"
    curved = np.empty_like(colour)
    for channel, curve in enumerate(channels):
        inner = (mapping.evaluate(combined, place) for place in np.linspace(low, high, maths.TABLE_SIZE))
        table = np.array([[mapping.evaluate(curve, place)] for place in inner], np.float32)
        place = (colour[..., channel] - low) / spread
        curved[..., channel] = maths.look_up(table, place, extrapolate=extrapolate)[..., 0]
    return maths.lerp(colour, curved, values.input(source, "Fac", 1))


def _hue_saturation(values: Evaluator, source: Source) -> Array:
    colour = values.input(source, "Color", 3)
    hue, saturation, value, t = (values.input(source, name, 1) for name in ("Hue", "Saturation", "Value", "Fac"))
    hsv = maths.rgb_to_hsv(colour)
    turned = hsv[..., :1] + hue + 0.5
    parts = (turned - np.floor(turned), (hsv[..., 1:2] * saturation).clip(0, 1), hsv[..., 2:] * value)
    changed = maths.hsv_to_rgb(np.concatenate(np.broadcast_arrays(*parts), -1))
    return np.maximum(maths.lerp(colour, changed, t), 0)


def _gamma(values: Evaluator, source: Source) -> Array:
    colour, gamma = values.input(source, "Color", 3), values.input(source, "Gamma", 1)
    powered = np.power(np.where(colour > 0, colour, 1), gamma)
    return np.where(gamma == 0, 1, np.where(colour > 0, powered, colour))


def _bright_contrast(values: Evaluator, source: Source) -> Array:
    bright, contrast = values.input(source, "Bright", 1), values.input(source, "Contrast", 1)
    return np.maximum((1 + contrast) * values.input(source, "Color", 3) + bright - contrast / 2, 0)


def _invert(values: Evaluator, source: Source) -> Array:
    colour = values.input(source, "Color", 3)
    return maths.lerp(colour, 1 - colour, values.input(source, "Fac", 1))


_TO_MODE = {"RGB": lambda rgb: rgb, "HSV": maths.rgb_to_hsv, "HSL": maths.rgb_to_hsl}
_FROM_MODE = {"RGB": lambda rgb: rgb, "HSV": maths.hsv_to_rgb, "HSL": maths.hsl_to_rgb}
_PARTS = {"Red": 0, "Green": 1, "Blue": 2, "X": 0, "Y": 1, "Z": 2}


def _separate(values: Evaluator, source: Source) -> Array:
    assert source.node is not None
    assert source.output is not None
    parts = _TO_MODE[getattr(source.node, "mode", "RGB")](values.input(source, source.node.inputs[0].identifier, 3))
    channel = _PARTS[source.output.identifier]
    return parts[..., channel : channel + 1]


def _combine(values: Evaluator, source: Source) -> Array:
    assert source.node is not None
    parts = [values.input(source, socket.identifier, 1) for socket in source.node.inputs]
    return _FROM_MODE[getattr(source.node, "mode", "RGB")](np.concatenate(np.broadcast_arrays(*parts), -1))


def _clamp(values: Evaluator, source: Source) -> Array:
    assert source.node is not None
    value, low, high = (values.input(source, name, 1) for name in ("Value", "Min", "Max"))
    if source.node.clamp_type == "RANGE":
        low, high = np.minimum(low, high), np.maximum(low, high)
    return np.minimum(np.maximum(value, low), high)


_NODES: dict[str, Callable[[Evaluator, Source], Array]] = {
    "ShaderNodeTexImage": _image,
    "ShaderNodeValue": _own_value,
    "ShaderNodeRGB": _own_value,
    "ShaderNodeMix": _mix,
    "ShaderNodeMixRGB": _mix_rgb,
    "ShaderNodeMath": _math,
    "ShaderNodeMapRange": _map_range,
    "ShaderNodeValToRGB": _ramp,
    "ShaderNodeRGBCurve": _curves,
    "ShaderNodeHueSaturation": _hue_saturation,
    "ShaderNodeGamma": _gamma,
    "ShaderNodeBrightContrast": _bright_contrast,
    "ShaderNodeInvert": _invert,
    "ShaderNodeSeparateColor": _separate,
    "ShaderNodeSeparateXYZ": _separate,
    "ShaderNodeCombineColor": _combine,
    "ShaderNodeCombineXYZ": _combine,
    "ShaderNodeRGBToBW": lambda values, source: maths.luminance(values.input(source, "Color", 3)),
    "ShaderNodeClamp": _clamp,
}


def understands(node: bpy.types.Node) -> bool:
    """Whether a node of this kind can be computed here."""
    return node.bl_idname in _NODES

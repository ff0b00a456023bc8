# SPDX-License-Identifier: GPL-3.0-or-later
"""What Cycles' colour and number nodes compute, for arrays: [..., 3] colours, [..., 1] numbers.

Operations are guarded as Cycles guards them: a division by zero gives 0, a root of a negative number too.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Array = np.ndarray

TABLE_SIZE = 257  # Cycles stores curves and ramps as tables of this many entries


def luminance(colour: Array) -> Array:
    """What a colour is worth at a number input: Rec.709 luminance [..., 1]."""
    return colour @ np.array([[0.2126], [0.7152], [0.0722]], np.float32)


def lerp(a: Array, b: Array, t: Array) -> Array:
    """``a`` where t is 0, ``b`` where t is 1; t is not clamped."""
    return a * (1 - t) + b * t


def rgb_to_hsv(rgb: Array) -> Array:
    """Hue, saturation, value; grey has hue 0."""
    largest, smallest = rgb.max(-1), rgb.min(-1)
    delta = largest - smallest
    saturation = divide(delta, largest)
    red, green, blue = np.moveaxis(divide(largest[..., None] - rgb, delta[..., None]), -1, 0)
    hue = np.select([rgb[..., 0] == largest, rgb[..., 1] == largest], [blue - green, 2 + red - blue], 4 + green - red)
    hue = np.where(saturation != 0, hue / 6, 0)
    return np.stack([np.where(hue < 0, hue + 1, hue), saturation, largest], -1)


def hsv_to_rgb(hsv: Array) -> Array:
    """The inverse of :func:`rgb_to_hsv`."""
    hue, saturation, value = np.moveaxis(hsv, -1, 0)
    hue = np.where(hue == 1, 0, hue) * 6
    sextant = np.floor(hue)
    part = hue - sextant
    p, q, t = value * (1 - saturation), value * (1 - saturation * part), value * (1 - saturation * (1 - part))
    sextants = [sextant == number for number in range(5)]
    red = np.select(sextants, [value, q, p, p, t], value)
    green = np.select(sextants, [t, value, value, q, p], p)
    blue = np.select(sextants, [p, p, t, value, value], q)
    return np.where((saturation != 0)[..., None], np.stack([red, green, blue], -1), value[..., None])


def rgb_to_hsl(rgb: Array) -> Array:
    """Hue, saturation, lightness."""
    largest, smallest = rgb.max(-1), rgb.min(-1)
    delta, total = largest - smallest, largest + smallest
    lightness = np.minimum(1, total / 2)
    saturation = np.where(lightness > 0.5, divide(delta, 2 - total), divide(delta, total))
    red, green, blue = np.moveaxis(rgb, -1, 0)
    hue = np.select(
        [red == largest, green == largest],
        [divide(green - blue, delta) + np.where(green < blue, 6, 0), divide(blue - red, delta) + 2],
        divide(red - green, delta) + 4,
    )
    grey = delta == 0
    return np.stack([np.where(grey, 0, hue / 6), np.where(grey, 0, saturation), lightness], -1)


def hsl_to_rgb(hsl: Array) -> Array:
    """The inverse of :func:`rgb_to_hsl`."""
    hue, saturation, lightness = np.moveaxis(hsl, -1, 0)
    pure = np.stack([np.abs(hue * 6 - 3) - 1, 2 - np.abs(hue * 6 - 2), 2 - np.abs(hue * 6 - 4)], -1).clip(0, 1)
    chroma = (1 - np.abs(2 * lightness - 1)) * saturation
    return (pure - 0.5) * chroma[..., None] + lightness[..., None]


def divide(a: Array, b: Array) -> Array:
    """a / b, 0 where b is 0."""
    b = np.asarray(b)
    return np.where(b == 0, 0, a / np.where(b == 0, 1, b))


def _burn(a: Array, b: Array, t: Array) -> Array:
    left = 1 - t + t * b
    return np.where(left <= 0, 0, (1 - (1 - a) / np.where(left <= 0, 1, left)).clip(0, 1))


def _dodge(a: Array, b: Array, t: Array) -> Array:
    left = 1 - t * b
    return np.where(a == 0, 0, np.where(left <= 0, 1, np.minimum(a / np.where(left <= 0, 1, left), 1)))


def _overlay(a: Array, b: Array, t: Array) -> Array:
    return np.where(a < 0.5, a * (1 - t + 2 * t * b), 1 - (1 - t + 2 * t * (1 - b)) * (1 - a))


def _soft_light(a: Array, b: Array, t: Array) -> Array:
    screen = 1 - (1 - b) * (1 - a)
    return (1 - t) * a + t * ((1 - a) * b * a + a * screen)


def _take_hsv(parts: tuple[int, ...]) -> Callable[[Array, Array, Array], Array]:
    """Blending that takes hue (0) or hue and saturation (0, 1) of the second colour where it is not grey."""

    def blend(a: Array, b: Array, t: Array) -> Array:
        other = rgb_to_hsv(b)
        mixed = rgb_to_hsv(a)
        mixed[..., parts] = other[..., parts]
        return np.where(other[..., 1:2] != 0, lerp(a, hsv_to_rgb(mixed), t), a)

    return blend


def _mix_hsv(part: int) -> Callable[[Array, Array, Array], Array]:
    """Blending that mixes saturation (1) or value (2)."""

    def blend(a: Array, b: Array, t: Array) -> Array:
        mixed = rgb_to_hsv(a)
        grey = mixed[..., 1:2] == 0
        mixed[..., part] = lerp(mixed[..., part], rgb_to_hsv(b)[..., part], t[..., 0])
        result = hsv_to_rgb(mixed)
        return np.where(grey, a, result) if part == 1 else result

    return blend


# blend type of a Mix node -> f(first colour, second colour, factor), colours of equal shape
BLENDS: dict[str, Callable[[Array, Array, Array], Array]] = {
    "MIX": lerp,
    "DARKEN": lambda a, b, t: lerp(a, np.minimum(a, b), t),
    "MULTIPLY": lambda a, b, t: lerp(a, a * b, t),
    "BURN": _burn,
    "LIGHTEN": lambda a, b, t: lerp(a, np.maximum(a, b), t),
    "SCREEN": lambda a, b, t: 1 - (1 - t + t * (1 - b)) * (1 - a),
    "DODGE": _dodge,
    "ADD": lambda a, b, t: a + t * b,
    "OVERLAY": _overlay,
    "SOFT_LIGHT": _soft_light,
    "LINEAR_LIGHT": lambda a, b, t: a + t * (2 * b - 1),
    "DIFFERENCE": lambda a, b, t: lerp(a, np.abs(a - b), t),
    "EXCLUSION": lambda a, b, t: np.maximum(lerp(a, a + b - 2 * a * b, t), 0),
    "SUBTRACT": lambda a, b, t: a - t * b,
    "DIVIDE": lambda a, b, t: np.where(b == 0, a, (1 - t) * a + t * divide(a, b)),
    "HUE": _take_hsv((0,)),
    "SATURATION": _mix_hsv(1),
    "COLOR": _take_hsv((0, 1)),
    "VALUE": _mix_hsv(2),
}


def _power(a: Array, b: Array, _c: Array) -> Array:
    impossible = (a < 0) & (b != np.trunc(b)) | (a == 0) & (b < 0)
    return np.where(impossible, 0, np.power(np.where(impossible, 1, a), b))


def _smooth_min(a: Array, b: Array, c: Array) -> Array:
    near = divide(np.maximum(c - np.abs(a - b), 0), c)
    return np.minimum(a, b) - near**3 * c / 6


def _ping_pong(a: Array, b: Array, _c: Array) -> Array:
    turns = divide(a - b, 2 * b)
    return np.where(b == 0, 0, np.abs((turns - np.floor(turns)) * b * 2 - b))


def _positive(a: Array) -> Array:
    """``a`` where it is above 0, 1 elsewhere."""
    return np.where(a > 0, a, 1)


# operation of a Math node -> f(first, second, third input)
MATHS: dict[str, Callable[[Array, Array, Array], Array]] = {
    "ADD": lambda a, b, c: a + b,
    "SUBTRACT": lambda a, b, c: a - b,
    "MULTIPLY": lambda a, b, c: a * b,
    "DIVIDE": lambda a, b, c: divide(a, b),
    "MULTIPLY_ADD": lambda a, b, c: a * b + c,
    "POWER": _power,
    "LOGARITHM": lambda a, b, c: np.where((a > 0) & (b > 0), divide(np.log(_positive(a)), np.log(_positive(b))), 0),
    "SQRT": lambda a, b, c: np.sqrt(np.maximum(a, 0)),
    "INVERSE_SQRT": lambda a, b, c: np.where(a > 0, 1 / np.sqrt(_positive(a)), 0),
    "ABSOLUTE": lambda a, b, c: np.abs(a),
    "EXPONENT": lambda a, b, c: np.exp(a),
    "MINIMUM": lambda a, b, c: np.minimum(a, b),
    "MAXIMUM": lambda a, b, c: np.maximum(a, b),
    "LESS_THAN": lambda a, b, c: (a < b).astype(np.float32),
    "GREATER_THAN": lambda a, b, c: (a > b).astype(np.float32),
    "SIGN": lambda a, b, c: np.sign(a),
    "COMPARE": lambda a, b, c: ((a == b) | (np.abs(a - b) <= np.maximum(c, 1e-5))).astype(np.float32),
    "SMOOTH_MIN": _smooth_min,
    "SMOOTH_MAX": lambda a, b, c: -_smooth_min(-a, -b, c),
    "ROUND": lambda a, b, c: np.floor(a + 0.5),
    "FLOOR": lambda a, b, c: np.floor(a),
    "CEIL": lambda a, b, c: np.ceil(a),
    "TRUNC": lambda a, b, c: np.trunc(a),
    "FRACT": lambda a, b, c: a - np.floor(a),
    "MODULO": lambda a, b, c: np.where(b == 0, 0, np.fmod(a, np.where(b == 0, 1, b))),
    "FLOORED_MODULO": lambda a, b, c: np.where(b == 0, 0, a - np.floor(divide(a, b)) * b),
    "WRAP": lambda a, b, c: np.where(b == c, c, a - (b - c) * np.floor(divide(a - c, b - c))),
    "SNAP": lambda a, b, c: np.floor(divide(a, b)) * b,
    "PINGPONG": _ping_pong,
    "SINE": lambda a, b, c: np.sin(a),
    "COSINE": lambda a, b, c: np.cos(a),
    "TANGENT": lambda a, b, c: np.tan(a),
    "ARCSINE": lambda a, b, c: np.arcsin(a.clip(-1, 1)),
    "ARCCOSINE": lambda a, b, c: np.arccos(a.clip(-1, 1)),
    "ARCTANGENT": lambda a, b, c: np.arctan(a),
    "ARCTAN2": lambda a, b, c: np.arctan2(a, b),
    "SINH": lambda a, b, c: np.sinh(a),
    "COSH": lambda a, b, c: np.cosh(a),
    "TANH": lambda a, b, c: np.tanh(a),
    "RADIANS": lambda a, b, c: np.radians(a),
    "DEGREES": lambda a, b, c: np.degrees(a),
}


def map_range(kind: str, value: Array, limits: tuple[Array, Array, Array, Array], steps: Array, clamp: bool) -> Array:
    """The Map Range node for numbers; ``limits``: From Min, From Max, To Min, To Max."""
    from_min, from_max, to_min, to_max = limits
    factor = divide(value - from_min, from_max - from_min)
    if kind == "STEPPED":
        factor = np.where(steps > 0, divide(np.floor(factor * (steps + 1)), steps), 0)
    elif kind != "LINEAR":
        x = factor.clip(0, 1)
        factor = x * x * (3 - 2 * x) if kind == "SMOOTHSTEP" else x * x * x * (x * (x * 6 - 15) + 10)
    result = np.where(from_max == from_min, 0, to_min + factor * (to_max - to_min))
    return result.clip(np.minimum(to_min, to_max), np.maximum(to_min, to_max)) if clamp else result


def look_up(table: Array, place: Array, interpolate: bool = True, extrapolate: bool = False) -> Array:
    """Values [..., C] of a table [TABLE_SIZE, C] at places [...] in [0, 1]."""
    last = len(table) - 1
    position = place.clip(0, 1) * last
    index = position.astype(np.int32)
    value = table[index]
    if interpolate:
        part = (position - index)[..., None]
        value = lerp(value, table[np.minimum(index + 1, last)], part)
    if extrapolate:
        below, above = np.minimum(place, 0)[..., None], np.maximum(place - 1, 0)[..., None]
        value = value + (table[1] - table[0]) * last * below + (table[-1] - table[-2]) * last * above
    return value

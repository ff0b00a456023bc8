# SPDX-License-Identifier: GPL-3.0-or-later
# mypy: ignore-errors
"""Warp kernels that run the stages of a baked view transform on every pixel, with exact Jacobians.

Three inputs and three outputs make forward differentiation the simple and the fast choice: the Jacobian is carried
along through the stages and kept for the backward pass, which is then one 3 x 3 product a pixel.
"""

from __future__ import annotations

import warp as wp

from .bake import Stage

_MATRIX = wp.constant(int(Stage.MATRIX))
_LOG2 = wp.constant(int(Stage.LOG2))
_EXP2 = wp.constant(int(Stage.EXP2))
_CURVE = wp.constant(int(Stage.CURVE))
_CUBE = wp.constant(int(Stage.CUBE))
_ENCODE = wp.constant(int(Stage.ENCODE))
_CLIP = wp.constant(int(Stage.CLIP))

_TINY = wp.constant(1.1754944e-38)  # OpenColorIO's floor for logarithms
_INVERSE_LN2 = wp.constant(1.4426950408889634)
_LN2 = wp.constant(0.6931471805599453)
# what an 8-bit picture cannot tell from its end values
HALF_STEP = wp.constant(0.5 / 255.0)


@wp.struct
class View:
    """BakedView on a device, and the surrogate slopes described at ViewTransform."""

    stages: wp.array(dtype=int)
    parameters: wp.array2d(dtype=float)
    tables: wp.array(dtype=wp.vec2)
    cubes: wp.array(dtype=wp.vec3)
    toe: float
    shoulder: float
    shoulder_start: float


@wp.func
def _encode(x: float) -> wp.vec2:
    """Value and slope of the sRGB transfer function."""
    if x <= 0.0031308:
        return wp.vec2(12.92 * x, 12.92)
    power = wp.pow(x, 1.0 / 2.4)
    return wp.vec2(1.055 * power - 0.055, 1.055 / 2.4 * power / x)


@wp.func
def _curve(tables: wp.array(dtype=wp.vec2), start: int, entries: int, low: float, high: float, x: float) -> wp.vec2:
    """Value and slope of a table of equidistant entries; flat outside of its domain."""
    scale = float(entries - 1) / (high - low)
    position = (x - low) * scale
    cell = wp.clamp(int(wp.floor(position)), 0, entries - 2)
    entry = tables[start + cell]
    fraction = position - float(cell)
    if fraction < 0.0:
        return wp.vec2(entry[0], 0.0)
    if fraction > 1.0:
        return wp.vec2(entry[0] + entry[1], 0.0)
    return wp.vec2(entry[0] + fraction * entry[1], entry[1] * scale)


@wp.func
def _cube(cubes: wp.array(dtype=wp.vec3), start: int, side: int, colour: wp.vec3) -> tuple[wp.vec3, wp.mat33]:
    """Tetrahedral interpolation: value and Jacobian; flat outside of the cube.

    The corners of a tetrahedron lie on the way from the cell's lower to its upper corner that takes the axes in the
    order of falling fractions; the Jacobian's columns are the steps of that way.
    """
    last = float(side - 1)
    x = wp.clamp(colour[0], 0.0, 1.0) * last
    y = wp.clamp(colour[1], 0.0, 1.0) * last
    z = wp.clamp(colour[2], 0.0, 1.0) * last
    i = wp.min(int(x), side - 2)
    j = wp.min(int(y), side - 2)
    k = wp.min(int(z), side - 2)
    x -= float(i)
    y -= float(j)
    z -= float(k)
    step_x = side * side
    step_y = side
    base = start + i * step_x + j * step_y + k
    # one corner differs by the axis of the largest fraction, the next one by all but the axis of the smallest
    first = wp.int32(1)  # Warp: a variable, not a constant
    if x >= y and x >= z:
        first = step_x
    elif y >= z:
        first = step_y
    third = step_x
    if z <= x and z <= y and first != 1:
        third = 1
    elif y <= x and first != step_y:
        third = step_y
    everything = step_x + step_y + 1
    lower = cubes[base]
    one = cubes[base + first]
    two = cubes[base + everything - third]
    upper = cubes[base + everything]
    along_first = one - lower
    along_second = two - one
    along_third = upper - two
    column_x = along_second
    column_y = along_second
    column_z = along_second
    if first == step_x:
        column_x = along_first
    elif first == step_y:
        column_y = along_first
    else:
        column_z = along_first
    if third == step_x:
        column_x = along_third
    elif third == step_y:
        column_y = along_third
    else:
        column_z = along_third
    value = lower + x * column_x + y * column_y + z * column_z
    if colour[0] < 0.0 or colour[0] > 1.0:
        column_x = wp.vec3(0.0)
    if colour[1] < 0.0 or colour[1] > 1.0:
        column_y = wp.vec3(0.0)
    if colour[2] < 0.0 or colour[2] > 1.0:
        column_z = wp.vec3(0.0)
    return value, wp.matrix_from_cols(column_x * last, column_y * last, column_z * last)


@wp.func
def run_view(view: View, colour: wp.vec3) -> tuple[wp.vec3, wp.mat33]:
    """Display-referred colour and its Jacobian with respect to the scene-linear one."""
    x = colour
    jacobian = wp.identity(n=3, dtype=float)
    for s in range(view.stages.shape[0]):
        code = view.stages[s]
        p = view.parameters[s]
        if code == _MATRIX:
            matrix = wp.mat33(p[0], p[1], p[2], p[3], p[4], p[5], p[6], p[7], p[8])
            x = matrix * x + wp.vec3(p[9], p[10], p[11])
            jacobian = matrix * jacobian
        elif code == _CUBE:
            looked_up, slopes = _cube(view.cubes, int(p[0]), int(p[1]), x)
            x = looked_up
            jacobian = slopes * jacobian
        else:
            slope = wp.vec3(1.0)
            for c in range(3):
                result = wp.vec2(x[c], 1.0)
                if code == _LOG2:
                    result = wp.vec2(wp.log2(wp.max(x[c], _TINY)), 0.0)
                    if x[c] > _TINY:
                        result[1] = _INVERSE_LN2 / x[c]
                elif code == _EXP2:
                    value = wp.exp(_LN2 * x[c])
                    result = wp.vec2(value, _LN2 * value)
                elif code == _CURVE:
                    start = int(p[0]) + c * int(p[2])
                    result = _curve(view.tables, start, int(p[1]), p[3], p[4], x[c])
                elif code == _ENCODE:
                    result = _encode(x[c])
                elif code == _CLIP:
                    if x[c] < p[0]:
                        result = wp.vec2(p[0], 0.0)
                    elif x[c] > p[1]:
                        result = wp.vec2(p[1], 0.0)
                else:  # POWER
                    result = wp.vec2(0.0, 0.0)
                    if x[c] > 0.0:
                        value = wp.pow(x[c], p[0])
                        result = wp.vec2(value, p[0] * value / x[c])
                x[c] = result[0]
                slope[c] = result[1]
            for r in range(3):
                for c in range(3):
                    jacobian[r, c] = slope[r] * jacobian[r, c]
    return x, jacobian


@wp.kernel(enable_backward=False)
def forward_kernel(
    start: int,
    slot: int,
    view: View,
    colours: wp.array(dtype=wp.vec3),
    out: wp.array(dtype=wp.vec3),
    jacobians: wp.array(dtype=wp.mat33),
):
    """``jacobians`` of length 0: not wanted."""
    i = start + wp.tid()
    value, jacobian = run_view(view, colours[i])
    out[i] = value
    if jacobians.shape[0] > 0:
        jacobians[i] = jacobian


@wp.kernel(enable_backward=False)
def backward_kernel(
    start: int,
    slot: int,
    view: View,
    colours: wp.array(dtype=wp.vec3),
    out: wp.array(dtype=wp.vec3),
    jacobians: wp.array(dtype=wp.mat33),
    out_gradient: wp.array(dtype=wp.vec3),
    gradient: wp.array(dtype=wp.vec3),
):
    """Transposed Jacobian times gradient, with the surrogate slopes where a channel has left the range."""
    i = start + wp.tid()
    colour = colours[i]
    value = out[i]
    jacobian = jacobians[i]
    pull = out_gradient[i]
    for c in range(3):
        if value[c] <= HALF_STEP and pull[c] < 0.0:
            jacobian[c, c] = wp.max(jacobian[c, c], view.toe)
        elif value[c] >= 1.0 - HALF_STEP and pull[c] > 0.0:
            jacobian[c, c] = wp.max(jacobian[c, c], view.shoulder / wp.max(colour[c], view.shoulder_start))
    gradient[i] = wp.transpose(jacobian) * pull


@wp.kernel(enable_backward=False)
def inverse_kernel(
    start: int,
    slot: int,
    view: View,
    display: wp.array(dtype=wp.vec3),
    iterations: int,
    colours: wp.array(dtype=wp.vec3),
):
    """Levenberg-Marquardt on the logarithms of the three channels, from the start that ``colours`` holds."""
    i = start + wp.tid()
    target = display[i]
    best = colours[i]
    value, jacobian = run_view(view, best)
    residual = value - target
    error = wp.length_sq(residual)
    damping = wp.float32(1.0e-3)
    for _ in range(iterations):
        if error < 1.0e-10:
            break
        slopes = jacobian * wp.diag(best)
        normal = wp.transpose(slopes) * slopes + damping * wp.diag(wp.vec3(0.01))
        step = -(wp.inverse(normal) * (wp.transpose(slopes) * residual))
        trial = wp.vec3(0.0)
        for c in range(3):
            trial[c] = best[c] * wp.exp(wp.clamp(step[c], -2.0, 2.0))
        trial_value, trial_jacobian = run_view(view, trial)
        trial_error = wp.length_sq(trial_value - target)
        if trial_error < error:
            best = trial
            jacobian = trial_jacobian
            residual = trial_value - target
            error = trial_error
            damping = damping * 0.3
        else:
            damping = damping * 8.0
    colours[i] = best

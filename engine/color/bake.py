# SPDX-License-Identifier: GPL-3.0-or-later
"""From an OpenColorIO configuration to a short list of stages that the engine can run and differentiate.

OpenColorIO resolves a view (and its look) into primitive operations. Matrices, logarithms and cubes are taken over as
they are; neighbouring operations that act on each channel alone become one table. So AgX, Filmic, Khronos PBR Neutral
and their looks are exact: only a view with other operations (ACES) is sampled as a whole, as a 129³ cube over a
logarithmic shaper.

The result is plain arrays: a job folder that holds them needs neither the configuration nor OpenColorIO.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from enum import IntEnum
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import EngineMissingError, SceneError
from ..scene import ViewSettings


class Stage(IntEnum):
    """What a stage does with a colour; the number is its code in the kernel, the parameters follow in brackets."""

    MATRIX = 0  # [3 x 3 matrix by rows, 3 offsets]
    LOG2 = 1  # []
    EXP2 = 2  # []
    CURVE = 3  # [first entry in tables, entries, step between channels, domain low, domain high]
    CUBE = 4  # [first entry in cubes, side]; domain 0 … 1, tetrahedral
    ENCODE = 5  # []: sRGB transfer function
    CLIP = 6  # [low, high]
    POWER = 7  # [exponent]; negative values become 0


PARAMETERS = 12  # row length of BakedView.parameters
_CURVE_ENTRIES = 8192  # for a domain of length 1
_MAX_CURVE_ENTRIES = 1 << 15
_SAMPLED_SIDE = 129
# Shaper of a sampled view: t = (log2(x + 2^-9) + 9) / 15, x = 0 … 64
_SHAPER_OFFSET = 2.0**-9
_SHAPER_STOPS = 15.0


@dataclass
class BakedView:
    """A view transform as arrays: stages run in order, each on a colour of three channels."""

    stages: np.ndarray  # [S] int32, Stage
    parameters: np.ndarray  # [S, 12] float32
    tables: np.ndarray  # [E, 2] float32: all curves, each entry with the step to the next one
    cubes: np.ndarray  # [K, 3] float32: all cubes, blue fastest

    def arrays(self) -> dict[str, np.ndarray]:
        """For ``numpy.savez``."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Any) -> BakedView:
        """The inverse of :meth:`arrays`; takes a dict or an open npz file."""
        return cls(**{field.name: np.asarray(arrays[field.name]) for field in fields(cls)})


class _UnsupportedOperationError(Exception):
    """An operation that is neither affine nor per channel."""


Curve = Callable[[np.ndarray], np.ndarray]  # [N, 3] -> [N, 3], each channel on its own


class _Chain:
    """Collects stages, merges neighbours, and knows the range of values between them."""

    def __init__(self) -> None:
        self.codes: list[Stage] = []
        self.rows: list[list[float]] = []
        self.tables: list[np.ndarray] = []
        self.cubes: list[np.ndarray] = []
        self.low = -np.inf  # all channels lie in low … high
        self.high = np.inf
        self.pending: list[Curve] = []  # per-channel operations that wait to become one table
        self.pending_low = 0.0
        self.pending_high = 0.0

    def _append(self, code: Stage, *parameters: float) -> None:
        self.codes.append(code)
        self.rows.append(list(parameters))

    def matrix(self, matrix: np.ndarray, offset: np.ndarray) -> None:
        if self.pending and np.array_equal(matrix, np.diag(np.diag(matrix))):
            self.curve(lambda rgb: rgb * np.diag(matrix) + offset)
            return
        self.flush()
        if self.codes and self.codes[-1] == Stage.MATRIX:
            before = np.array(self.rows[-1])
            matrix, offset = matrix @ before[:9].reshape(3, 3), matrix @ before[9:] + offset
            self.rows[-1] = [*matrix.ravel(), *offset]
            self.low, self.high = -np.inf, np.inf
            return
        if np.isfinite(self.low + self.high):
            ends = matrix[..., None] * np.array([self.low, self.high])
            self.low = float((ends.min(-1).sum(-1) + offset).min())
            self.high = float((ends.max(-1).sum(-1) + offset).max())
        self._append(Stage.MATRIX, *matrix.ravel(), *offset)

    def log2(self) -> None:
        self.flush()
        self._append(Stage.LOG2)
        tiny, huge = 2.0**-126, 2.0**127
        self.low, self.high = (float(np.log2(np.clip(x, tiny, huge))) for x in (self.low, self.high))

    def exp2(self) -> None:
        self.flush()
        self._append(Stage.EXP2)
        self.low, self.high = (float(2.0 ** np.clip(x, -126, 127)) for x in (self.low, self.high))

    def cube(self, values: np.ndarray) -> None:
        """``values`` [N, N, N, 3], blue fastest."""
        self.flush()
        self._append(Stage.CUBE, sum(len(cube) for cube in self.cubes), len(values))
        self.cubes.append(values.reshape(-1, 3))
        self.low, self.high = float(values.min()), float(values.max())

    def clip(self, low: float, high: float) -> None:
        if self.pending:
            self.curve(lambda rgb: np.clip(rgb, low, high))
            return
        self._append(Stage.CLIP, low, high)
        self.low, self.high = max(self.low, low), min(self.high, high)

    def encode(self, curve: Curve | None = None) -> None:
        """sRGB transfer function: by formula on open ranges, in a table on closed ones."""
        if curve is not None and np.isfinite(self.low + self.high):
            self.curve(curve)
        else:
            self.flush()
            self._append(Stage.ENCODE)

    def power(self, exponent: float) -> None:
        self.flush()
        self._append(Stage.POWER, exponent)
        self.low, self.high = (float(max(x, 0.0) ** exponent) for x in (self.low, self.high))

    def curve(self, function: Curve) -> None:
        if not np.isfinite(self.low + self.high):
            raise _UnsupportedOperationError("a table over an open range")
        if not self.pending:
            self.pending_low, self.pending_high = self.low, self.high
        self.pending.append(function)

    def flush(self) -> None:
        """Turn the waiting per-channel operations into one table."""
        if not self.pending:
            return
        low, high = self.pending_low, max(self.pending_high, self.pending_low + 1e-6)
        entries = min(int(_CURVE_ENTRIES * max(high - low, 1.0)) + 1, _MAX_CURVE_ENTRIES)
        values = np.repeat(np.linspace(low, high, entries)[:, None], 3, axis=1)
        for function in self.pending:
            values = np.asarray(function(values), np.float64)
        self.pending = []
        shared = np.ptp(values, axis=1).max() < 1e-7
        values = values[:, :1] if shared else values
        # the steps are rounded after the subtraction: a difference of rounded entries would be a noisy slope
        steps = np.diff(values, axis=0, append=values[-1:])
        table = np.stack([values.T.ravel(), steps.T.ravel()], -1)
        start = sum(len(other) for other in self.tables)
        self._append(Stage.CURVE, start, entries, 0 if shared else entries, low, high)
        self.tables.append(table)
        self.low, self.high = float(values.min()), float(values.max())

    def finish(self, gamma: float) -> BakedView:
        self.clip(0.0, 1.0)
        self.flush()
        if gamma != 1.0:
            self.power(1.0 / gamma)
        parameters = np.zeros((len(self.rows), PARAMETERS), np.float32)
        for row, values in zip(parameters, self.rows, strict=True):
            row[: len(values)] = values
        return BakedView(
            np.array(self.codes, np.int32),
            parameters,
            np.concatenate([*self.tables, np.zeros((1, 2))]).astype(np.float32),
            np.concatenate([*self.cubes, np.zeros((1, 3))]).astype(np.float32),
        )


def bake(settings: ViewSettings) -> BakedView:
    """Resolve the colour management of a scene into stages; exposure and gamma included.

    Standard and Raw without a look need no configuration, all others read ``settings.config_path``.

    Raises:
        SceneError: the configuration is missing, or it has no such view, look or display.
        EngineMissingError: OpenColorIO is not installed.
    """
    exposure = np.eye(3) * 2.0**settings.exposure
    plain = settings.look in ("", "None") and settings.display == "sRGB"
    chain = _Chain()
    chain.matrix(exposure, np.zeros(3))
    if plain and settings.view_transform == "Raw":
        return chain.finish(settings.gamma)
    if plain and settings.view_transform == "Standard" and settings.scene_linear in ("Linear Rec.709", "Linear"):
        chain.encode()
        return chain.finish(settings.gamma)

    ocio = _import_ocio()
    config, view = _resolve(ocio, settings)
    lossless = ocio.OPTIMIZATION_LOSSLESS
    operations = config.getProcessor(view).getOptimizedProcessor(lossless).createGroupTransform()
    try:
        for operation in operations:
            _add(chain, ocio, config, operation)
    except _UnsupportedOperationError:
        chain = _Chain()
        chain.matrix(exposure, np.full(3, _SHAPER_OFFSET))
        chain.log2()
        chain.matrix(np.eye(3) / _SHAPER_STOPS, np.full(3, 9 / _SHAPER_STOPS))
        axis = 2.0 ** (np.linspace(0, 1, _SAMPLED_SIDE) * _SHAPER_STOPS - 9) - _SHAPER_OFFSET
        grid = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1)
        chain.cube(np.clip(_run(ocio, config, view, grid), 0, 1))
    return chain.finish(settings.gamma)


def _import_ocio() -> Any:
    try:
        import PyOpenColorIO
    except ImportError:
        raise EngineMissingError(
            "OpenColorIO is missing here; install the package opencolorio, which reads Blender's view transforms."
        ) from None
    return PyOpenColorIO


def _resolve(ocio: Any, settings: ViewSettings) -> tuple[Any, Any]:
    """The configuration and the transform from scene-linear to display, exposure and gamma left out."""
    if not Path(settings.config_path).is_file():
        raise SceneError(
            f'Colour management: configuration "{settings.config_path}" is not there, and the view transform '
            f'"{settings.view_transform}" needs it; give the path of Blender\'s config.ocio.'
        )
    try:
        config = ocio.Config.CreateFromFile(settings.config_path)
    except ocio.Exception as error:
        raise SceneError(f'Colour management: "{settings.config_path}" cannot be read: {error}.') from error
    # the cache takes two tables of equal size and range for the same operation
    config.setProcessorCacheFlags(ocio.PROCESSOR_CACHE_OFF)
    name = f'in "{settings.config_path}"; choose one that Blender offers in Render Properties > Color Management.'
    display = settings.display
    if display not in set(config.getDisplays()):
        raise SceneError(f'Colour management: there is no display "{display}" {name}')
    if settings.view_transform not in set(config.getViews(display)):
        raise SceneError(f'Colour management: there is no view transform "{settings.view_transform}" {name}')
    source = settings.scene_linear if config.getColorSpace(settings.scene_linear) else "scene_linear"
    group = ocio.GroupTransform()
    if settings.look not in ("", "None"):
        if settings.look not in set(config.getLookNames()):
            raise SceneError(f'Colour management: there is no look "{settings.look}" {name}')
        group.appendTransform(ocio.LookTransform(src=source, dst=source, looks=settings.look))
    group.appendTransform(ocio.DisplayViewTransform(source, display, settings.view_transform, looksBypass=True))
    return config, group


def _run(ocio: Any, config: Any, transform: Any, colours: np.ndarray) -> np.ndarray:
    """Apply an OpenColorIO transform to [..., 3] colours, without its fast approximations of log and pow."""
    pixels = np.array(colours, np.float32, order="C")  # a copy: OpenColorIO works in place
    config.getProcessor(transform).getOptimizedCPUProcessor(ocio.OPTIMIZATION_LOSSLESS).applyRGB(pixels)
    return pixels


def _add(chain: _Chain, ocio: Any, config: Any, operation: Any) -> None:
    """Append one primitive operation to the chain."""

    def run(rgb: np.ndarray) -> np.ndarray:
        return _run(ocio, config, operation, rgb)

    forward = operation.getDirection() == ocio.TRANSFORM_DIR_FORWARD
    if isinstance(operation, ocio.MatrixTransform) and forward:
        matrix = np.array(operation.getMatrix()).reshape(4, 4)[:3, :3]
        chain.matrix(matrix, np.array(operation.getOffset())[:3])
    elif isinstance(operation, ocio.LogTransform) and operation.getBase() == 2:
        if forward:
            chain.log2()
        else:
            chain.exp2()
    elif isinstance(operation, ocio.Lut3DTransform) and forward:
        if operation.getInterpolation() not in (ocio.INTERP_TETRAHEDRAL, ocio.INTERP_BEST):
            raise _UnsupportedOperationError("trilinear cube")
        side = operation.getGridSize()
        chain.cube(np.asarray(operation.getData(), np.float64).reshape(side, side, side, 3))
    elif isinstance(operation, ocio.RangeTransform) and forward:
        low = operation.getMinInValue() if operation.hasMinInValue() else -np.inf
        high = operation.getMaxInValue() if operation.hasMaxInValue() else np.inf
        chain.clip(low, high)
    elif isinstance(operation, ocio.ExponentTransform) and not forward and len({*operation.getValue()[:3]}) == 1:
        chain.power(1 / operation.getValue()[0])  # a root is too steep at 0 for a table
    elif isinstance(operation, ocio.ExponentWithLinearTransform) and _is_srgb(operation, forward):
        chain.encode(run)
    else:
        _probe(chain, run)


def _is_srgb(operation: Any, forward: bool) -> bool:
    gamma, offset = operation.getGamma()[:3], operation.getOffset()[:3]
    return not forward and np.allclose(gamma, 2.4) and np.allclose(offset, 0.055)


def _probe(chain: _Chain, run: Curve) -> None:
    """Append an operation that is known only by what it does: affine (grading with contrast), or per channel."""
    colours = np.random.default_rng(0).uniform(-1, 2, (256, 3))
    result = run(colours)
    homogeneous = np.concatenate([colours, np.ones((256, 1))], axis=1)
    solution = np.linalg.lstsq(homogeneous, result, rcond=None)[0]
    if np.abs(homogeneous @ solution - result).max() < 2e-6:
        chain.matrix(solution[:3].T, solution[3])
        return
    for channel in range(3):
        others = colours[::-1].copy()
        others[:, channel] = colours[:, channel]
        if np.abs(run(others)[:, channel] - result[:, channel]).max() > 1e-6:
            raise _UnsupportedOperationError("an operation that mixes channels")
    chain.curve(run)

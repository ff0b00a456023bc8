# SPDX-License-Identifier: GPL-3.0-or-later
"""What a fit is asked for and what it gives back: plain data shared by command line, worker, add-on and engine."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

MATERIAL_TARGETS = ("base_color", "roughness", "metallic", "normal", "emission")
SCENE_TARGETS = ("lights", "world", "world_strength", "exposure", "white_balance")
CAMERA_TARGETS = ("camera", "lens", "shift", "distortion")
TARGETS = MATERIAL_TARGETS + SCENE_TARGETS + CAMERA_TARGETS


@dataclass(frozen=True)
class Target:
    """One thing that may change: ``base_color@Gold``. Without a datablock: all of that kind."""

    kind: str  # one of TARGETS
    datablock: str | None = None  # material or light datablock, camera object

    def __str__(self) -> str:
        return self.kind if self.datablock is None else f"{self.kind}@{self.datablock}"


@dataclass
class FitSettings:
    """How to fit. Everything that changes the numbers is here, so that a run can be repeated."""

    targets: list[Target] = field(default_factory=list)
    iterations: int = 0  # 0: chosen from the number of photos and targets
    resolution: int = 512  # longest side of a photo in the fit, pixels
    texture_size: int = 1024  # side of new textures, texels
    device: Literal["auto", "cpu", "cuda"] = "auto"
    seed: int = 0
    cycles: bool = False  # let Cycles itself render now and then, and fit to what it shows (cycles_loop.py)


@dataclass
class FittedImage:
    """A new image for one socket of a material; row 0 is the bottom row.

    ``pixels`` holds what the image datablock stores: sRGB-encoded values for ``encoding == 'sRGB'`` (base colour,
    8 bit), plain values for ``'linear'`` (Non-Color: roughness, metallic, normal; or HDR emission).
    """

    material: str
    socket: str  # one of MATERIAL_TARGETS
    pixels: np.ndarray  # [H, W, 3] or [H, W, 1] float32
    encoding: Literal["sRGB", "linear"]
    bits: Literal[8, 16, 32]


@dataclass
class FittedLight:
    """Power and colour of a light datablock. ``color`` is scene-linear with largest channel 1."""

    data_name: str
    energy: float
    color: np.ndarray


@dataclass
class FittedWorld:
    """World radiance: ``strength`` times ``pixels`` (equirectangular [H, W, 3]) or ``color`` where pixels is None.

    Where pixels is None and the world has an image, the image stays and takes the strength.
    """

    strength: float
    color: np.ndarray
    pixels: np.ndarray | None = None


@dataclass
class FittedCamera:
    """A camera as it was found; what was not free is as it was.

    ``deviations`` are standard deviations: "position" (metres), "rotation" (degrees), "lens" (mm, or metres of an
    orthographic scale), "shift", "k1" … "k3".
    """

    name: str  # key in Scene.cameras
    data_name: str  # camera datablock
    free: list[str]  # of CAMERA_TARGETS
    matrix: np.ndarray  # [4, 4] float64 camera-to-world, without scale
    lens: float
    shift_x: float
    shift_y: float
    ortho_scale: float
    distortion: list[float] | None = None  # k1, k2, p1, p2, k3, see engine.camera.distort
    moved: float = 0.0  # mean pixels by which things moved in the photo, at the size of the fit
    deviations: dict[str, float] = field(default_factory=dict)


@dataclass
class PhotoResult:
    """How one photo was met: fitted exposure (stops) and gains; pictures are display-referred [H, W, 3] in [0, 1]."""

    name: str
    camera: str
    exposure: float
    white_balance: np.ndarray
    photo: np.ndarray
    before: np.ndarray
    after: np.ndarray
    mask: np.ndarray | None
    psnr_before: float  # dB over the masked pixels, display-referred
    psnr_after: float


@dataclass
class FitResult:
    """The outcome of a fit; the bridge writes it, the report shows it."""

    images: list[FittedImage] = field(default_factory=list)
    lights: list[FittedLight] = field(default_factory=list)
    world: FittedWorld | None = None
    cameras: list[FittedCamera] = field(default_factory=list)
    exposure: float | None = None  # scene view exposure in stops, where it was a target of its own
    photos: list[PhotoResult] = field(default_factory=list)
    # material -> [H, W] float32: how well the photos saw each texel (0: never; filled in from its surroundings)
    coverage: dict[str, np.ndarray] = field(default_factory=dict)
    history: list[tuple[int, str, float]] = field(default_factory=list)  # (iteration, stage, loss)
    warnings: list[str] = field(default_factory=list)
    cycles: str = ""  # how Cycles' own renders met the photos, in plain words
    gauge: str = ""  # what was held fixed to settle albedo against light, in plain words
    seconds: dict[str, float] = field(default_factory=dict)  # stage -> wall-clock time
    iterations: int = 0
    cancelled: bool = False


@dataclass
class Progress:
    """One step of the fit, as yielded by engine.fit.fit and sent by the worker as a JSON line."""

    iteration: int
    iterations: int
    stage: str
    loss: float
    rate: float  # iterations a second
    seconds_left: float

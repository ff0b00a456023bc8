# SPDX-License-Identifier: GPL-3.0-or-later
"""The scene as plain arrays: what the bridge reads from Blender and what the engine renders.

Conventions, used by the whole engine (more in docs/conventions.md):

* World space is Blender's: right-handed, z up, metres. A camera looks along its local -Z, +Y is up.
* **Row 0 of every image is the bottom row**: textures, photos, masks, renders, environment maps.
* Texture coordinates (0, 0) are the lower left corner of an image; texel (i, j) has its centre at
  ``u = (j + .5) / width``, ``v = (i + .5) / height``.
* Colours are scene-linear Rec.709 unless a field says otherwise; float32; radiometric strengths are Blender's.
* Matrices act on column vectors: ``world = matrix @ local``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

Severity = Literal["supported", "approximated", "ignored", "error"]
Extension = Literal["REPEAT", "EXTEND", "CLIP", "MIRROR"]
Interpolation = Literal["Linear", "Closest"]


@dataclass
class Note:
    """What the reader found out about one datablock; `check` prints these, the report repeats them."""

    severity: Severity
    datablock: str  # e.g. 'Material "Gold"'
    message: str  # what it is and what Likeness does about it


@dataclass
class Image:
    """Pixels of an image datablock, as the texture node interpolates them.

    ``pixels`` is [H, W, 4] float32. With ``encoding == 'sRGB'`` (8- and 16-bit colour images) the stored values are
    encoded: Cycles interpolates first and decodes afterwards. With ``'linear'`` (Non-Color, float and HDR
    images) they are used as they are.
    """

    name: str
    pixels: np.ndarray
    encoding: Literal["sRGB", "linear"] = "linear"


@dataclass
class Texture:
    """An Image Texture node as one socket sees it."""

    image: str  # key in Scene.images
    uv_map: str | None = None  # None: the mesh's active render UV map
    # affine map of texture coordinates (Mapping node): uv' = uv_matrix @ (u, v, 1); shape [2, 3]
    uv_matrix: np.ndarray = field(default_factory=lambda: np.eye(2, 3, dtype=np.float32))
    extension: Extension = "REPEAT"
    interpolation: Interpolation = "Linear"
    # None: the node's colour (a scalar socket takes its Rec.709 luminance); 0, 1, 2: one channel
    # (Separate Color); 3: the Alpha output
    channel: int | None = None
    # image node to re-point when a fitted image replaces this one; "" when there is none
    node: str = ""


@dataclass
class Socket:
    """An input of the Principled BSDF: a constant, or an image texture where ``texture`` is set."""

    value: np.ndarray  # [1] or [3] float32, scene-linear
    texture: Texture | None = None


def scalar(value: float) -> Socket:
    """A constant scalar socket."""
    return Socket(np.array([value], np.float32))


def colour(red: float, green: float, blue: float) -> Socket:
    """A constant colour socket, scene-linear."""
    return Socket(np.array([red, green, blue], np.float32))


@dataclass
class NormalMap:
    """A tangent-space Normal Map node with its image; green up (OpenGL)."""

    texture: Texture
    strength: float = 1.0


@dataclass
class Material:
    """The Principled BSDF. Defaults are Blender's."""

    name: str
    base_color: Socket = field(default_factory=lambda: colour(0.8, 0.8, 0.8))
    metallic: Socket = field(default_factory=lambda: scalar(0.0))
    roughness: Socket = field(default_factory=lambda: scalar(0.5))
    ior: Socket = field(default_factory=lambda: scalar(1.5))
    specular_level: Socket = field(default_factory=lambda: scalar(0.5))
    specular_tint: Socket = field(default_factory=lambda: colour(1.0, 1.0, 1.0))
    emission_color: Socket = field(default_factory=lambda: colour(1.0, 1.0, 1.0))
    emission_strength: Socket = field(default_factory=lambda: scalar(0.0))
    diffuse_roughness: Socket = field(default_factory=lambda: scalar(0.0))
    alpha: Socket = field(default_factory=lambda: scalar(1.0))  # what is not the surface's is what lies behind it
    transparent_color: tuple[float, float, float] = (1.0, 1.0, 1.0)  # tints what is seen past the surface
    transmission: Socket = field(default_factory=lambda: scalar(0.0))  # share of glass, see transparency.py
    subsurface: Socket = field(default_factory=lambda: scalar(0.0))  # share, see materials.scattered
    holdout: bool = False  # the Holdout shader, see Mesh.holdout
    anisotropic: float = 0.0  # constant, as is its rotation, in turns
    anisotropic_rotation: float = 0.0
    tangent: Literal["UV", "RADIAL_X", "RADIAL_Y", "RADIAL_Z"] = "RADIAL_Z"  # what the grain follows, see Mesh.grain
    tangent_uv: str = ""  # UV map of tangent "UV"; "": the active one
    # the coat lies on the smooth surface or on `coat_normal`, the sheen on the normal map as far as there is no coat
    coat_weight: Socket = field(default_factory=lambda: scalar(0.0))
    coat_roughness: Socket = field(default_factory=lambda: scalar(0.03))
    coat_ior: Socket = field(default_factory=lambda: scalar(1.5))
    coat_tint: Socket = field(default_factory=lambda: colour(1.0, 1.0, 1.0))
    coat_normal: NormalMap | None = None
    sheen_weight: Socket = field(default_factory=lambda: scalar(0.0))
    sheen_roughness: Socket = field(default_factory=lambda: scalar(0.5))
    sheen_tint: Socket = field(default_factory=lambda: colour(1.0, 1.0, 1.0))
    normal: NormalMap | None = None
    multiscatter: bool = True  # distribution MULTI_GGX (default) or GGX
    bump_correction: bool = True  # material.cycles.use_bump_map_correction
    editable: bool = True  # False where the bridge could not write it back (linked library data)


@dataclass
class Mesh:
    """One evaluated, triangulated object (or instance of one) in world space."""

    name: str  # name of the object; instances carry " #2", " #3" …
    positions: np.ndarray  # [V, 3] float32, world space
    triangles: np.ndarray  # [T, 3] int32
    corner_normals: np.ndarray  # [T, 3, 3] float32, world space, unit length; face normal on flat faces
    uv_maps: dict[str, np.ndarray]  # name -> [T, 3, 2] float32
    active_uv: str | None  # the active render UV map
    material_names: list[str]  # slot index -> key in Scene.materials
    material_index: np.ndarray  # [T] int32 into material_names
    # MikkTSpace tangents of the active UV map: xyz in world space and bitangent sign; None without UVs
    corner_tangents: np.ndarray | None = None  # [T, 3, 4] float32
    # On an unevenly scaled object Cycles applies normal maps before the scale: there these are the normals that go with
    # the tangents, and what turns normal x tangent into the bitangent. None: corner_normals, and nothing to turn
    map_normals: np.ndarray | None = None  # [T, 3, 3] float32, world space, not of unit length
    map_frame: np.ndarray | None = None  # [3, 3] float32
    # tangents that the grain of anisotropic materials follows, of any length; None where there is no such material
    grain: np.ndarray | None = None  # [T, 3, 3] float32, world space
    object_name: str = ""  # the object that owns it (equal for all its instances)
    terminator_offset: float = 0.1  # object.shadow_terminator_geometry_offset
    # which rays see it: those of the camera, shadow rays, and rays of indirect light
    visible_camera: bool = True
    visible_shadow: bool = True
    visible_indirect: bool = True
    holdout: bool = False  # the camera sees a hole of black and alpha 0 in its place


@dataclass
class Light:
    """A point, sun, spot or area light. Radiant quantities follow docs/blender-image-formation.md §2."""

    name: str  # object name
    data_name: str  # light datablock: power and colour belong to it, lights that share it change together
    kind: Literal["POINT", "SUN", "SPOT", "AREA"]
    matrix: np.ndarray  # [4, 4] float32 world matrix with scale
    energy: float  # watts (sun: W/m²), without exposure
    color: np.ndarray  # [3] scene-linear
    # 2^exposure times the blackbody colour; fixed while energy and colour are fitted
    multiplier: np.ndarray = field(default_factory=lambda: np.ones(3, np.float32))
    normalize: bool = True
    radius: float = 0.0  # point, spot: shadow_soft_size
    soft_falloff: bool = True  # point, spot
    angle: float = 0.0  # sun: full angle in radians
    spot_size: float = 0.785398  # full angle in radians
    spot_blend: float = 0.15
    area_shape: Literal["RECTANGLE", "ELLIPSE"] = "RECTANGLE"  # SQUARE and DISK are these with equal sizes
    area_size: tuple[float, float] = (0.25, 0.25)  # along local x and y, without the object's scale
    spread: float = 3.141593  # area
    cast_shadow: bool = True
    visible_camera: bool = False
    visible_diffuse: bool = True
    visible_glossy: bool = True


@dataclass
class World:
    """Background: radiance = strength * (image lookup or colour)."""

    name: str = ""
    color: np.ndarray = field(default_factory=lambda: np.zeros(3, np.float32))
    strength: float = 1.0
    image: str | None = None  # equirectangular; key in Scene.images
    # world direction -> lookup direction of the environment texture; [3, 3]
    rotation: np.ndarray = field(default_factory=lambda: np.eye(3, dtype=np.float32))


@dataclass
class Camera:
    """A Blender camera. Pixels follow from it and an image size, see engine/camera.py."""

    name: str
    matrix: np.ndarray  # [4, 4] float64 camera-to-world, without scale
    kind: Literal["PERSP", "ORTHO"] = "PERSP"
    lens: float = 50.0  # mm
    sensor_width: float = 36.0  # mm
    sensor_height: float = 24.0  # mm
    sensor_fit: Literal["AUTO", "HORIZONTAL", "VERTICAL"] = "AUTO"
    shift_x: float = 0.0
    shift_y: float = 0.0
    ortho_scale: float = 6.0
    clip_start: float = 0.1
    clip_end: float = 1000.0
    data_name: str = ""  # camera datablock: the lens belongs to it, cameras that share it change together
    # k1, k2, p1, p2, k3 of the lens, see camera.distort; renders show none
    distortion: tuple[float, float, float, float, float] | None = None
    pose_obstacle: str = ""  # why its place, or its lens, cannot be changed; "" where it can
    lens_obstacle: str = ""


@dataclass
class Photo:
    """One photo of the scene. ``pixels`` is None until engine.photos.load_photo has read the file."""

    camera: str  # key in Scene.cameras
    path: str
    mask_path: str | None = None
    name: str = ""  # unique, for reports; file stem by default
    enabled: bool = True
    weight: float = 1.0
    exposure: float = 0.0  # stops that the photo is brighter than the scene's exposure; start of the fit
    # per-channel gain of the photo relative to the scene, green = 1; start of the fit
    white_balance: np.ndarray = field(default_factory=lambda: np.ones(3, np.float32))
    # 'display': 8/16-bit file, compared after the view transform, values in [0, 1]; 'linear': EXR/HDR, scene-linear
    domain: Literal["display", "linear"] = "display"
    pixels: np.ndarray | None = None  # [H, W, 3] float32
    mask: np.ndarray | None = None  # [H, W] float32 in [0, 1]; None: everything counts
    full_size: tuple[int, int] | None = None  # (width, height) of the file before it was reduced
    use_alpha: bool = True  # the file's own alpha channel is a mask, too
    mask_object: str = ""  # Mesh.object_name: the photo counts only where this is seen first; "": everywhere


@dataclass
class ViewSettings:
    """Blender's colour management of the scene."""

    view_transform: str = "AgX"
    look: str = "None"
    exposure: float = 0.0
    gamma: float = 1.0
    display: str = "sRGB"
    config_path: str = ""  # Blender's config.ocio
    scene_linear: str = "Linear Rec.709"  # working space of the file


@dataclass
class Film:
    """Image size and reconstruction filter of the render."""

    width: int = 1920
    height: int = 1080
    pixel_aspect: tuple[float, float] = (1.0, 1.0)
    filter: Literal["BLACKMAN_HARRIS", "BOX", "GAUSSIAN"] = "BLACKMAN_HARRIS"
    filter_width: float = 1.5
    exposure: float = 1.0  # cycles.film_exposure, multiplies radiance
    transparent: bool = False
    bounces: int = 4  # reflections between surfaces: the lesser of Cycles' limits for all and for diffuse ones
    transparent_bounces: int = 8  # transparent surfaces that a ray may cross
    caustics: bool = True  # light passes glass on its way to a surface


@dataclass
class Scene:
    """Everything that the engine needs; no Blender object is referenced."""

    name: str = "Scene"
    meshes: list[Mesh] = field(default_factory=list)
    materials: dict[str, Material] = field(default_factory=dict)
    images: dict[str, Image] = field(default_factory=dict)
    lights: list[Light] = field(default_factory=list)
    world: World = field(default_factory=World)
    cameras: dict[str, Camera] = field(default_factory=dict)
    photos: list[Photo] = field(default_factory=list)
    view: ViewSettings = field(default_factory=ViewSettings)
    film: Film = field(default_factory=Film)
    notes: list[Note] = field(default_factory=list)

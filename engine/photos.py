# SPDX-License-Identifier: GPL-3.0-or-later
"""Photos and masks from files, upright, in one colour space and at the size of the fit."""

from __future__ import annotations

import io
import warnings as python_warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import scipy.sparse
from PIL import Image as PillowImage
from PIL import ImageCms, ImageOps
from scipy.ndimage import map_coordinates

from .camera import Projection, distort
from .color import ToneCurve, srgb_decode, srgb_encode
from .errors import PhotoError
from .images_io import read_exr, read_hdr
from .scene import Photo

# A mask of another aspect belongs to another photo; a few pixels of cropping do not matter.
_SAME_ASPECT = 0.02
# The reduced size may be this much smaller than asked for, to keep the aspect …
_SIZE_SLACK = 0.9
# … to this many pixels. A photo that is stretched does not fit its camera any more.
_ASPECT_TOLERANCE = 0.02
_ROWS_AT_ONCE = 32
# Blender's default pixel filter, docs/blender-image-formation.md §1
_FILTER_WIDTH = 1.5
_BLACKMAN_HARRIS = (0.35875, -0.48829, 0.14128, -0.01168)


@dataclass
class _Picture:
    """A decoded file, top row first."""

    colour: np.ndarray  # [H, W, 3]: uint8 or uint16 (encoded, full range), or float32
    alpha: np.ndarray | None = None  # [H, W] float32; the colour is not multiplied by it
    linear: bool = False  # scene-linear instead of display-referred
    warnings: list[str] = field(default_factory=list)


def load_photo(photo: Photo, max_side: int, tone: ToneCurve | None = None) -> list[str]:
    """Fill ``pixels``, ``mask``, ``full_size`` and ``domain`` of a photo, and ``name`` where it is empty.

    JPEG, PNG, TIFF, WebP and whatever else Pillow reads become display-referred sRGB: turned upright after the EXIF
    orientation, converted from the embedded ICC profile. OpenEXR and Radiance files stay scene-linear. An alpha
    channel becomes the mask, times that of ``mask_path``; without ``use_alpha`` the file is read as if it had none.

    A photo whose longest side exceeds ``max_side`` is reduced as if a smaller picture had been rendered: the weights
    of the average are those of Blender's pixel filter, and it is taken **in linear light**. Display values are decoded
    with the scene's tone curve (``tone``, see ``ViewTransform.tone_curve``; the sRGB curve by default), averaged and
    encoded again. Averaging the display values themselves would darken contrasts: under AgX by up to 0.09 at edges of
    10 : 1, and still by up to 0.07 when they are decoded as sRGB. The side may become up to a tenth shorter than
    ``max_side`` so that the aspect is kept to a fiftieth of a pixel, or as well as whole pixels allow.

    Returns:
        Warnings for the artist, one line each.

    Raises:
        PhotoError: photo or mask is missing, unreadable, empty, black all over, or of another aspect than the other.
    """
    photo.name = photo.name or Path(photo.path).stem
    title = f'Photo "{photo.name}"'
    picture = _read(title, photo.path)
    if not photo.use_alpha and picture.alpha is not None:
        if picture.linear:  # stored multiplied by alpha: the picture before black
            picture.colour = picture.colour * picture.alpha[..., None]
        picture.alpha = None
    height, width = picture.colour.shape[:2]
    size = _reduced_size(width, height, max_side)
    decode: Callable[[np.ndarray], np.ndarray] | None = None
    encode: Callable[[np.ndarray], np.ndarray] | None = None
    if not picture.linear and size != (width, height):
        decode, encode = (tone.decode, tone.encode) if tone else (srgb_decode, srgb_encode)
    pixels, alpha = _reduce(picture, size, decode, encode)

    mask = alpha
    if photo.mask_path:
        extra = _read_mask(title, photo.mask_path, (width, height), size)
        mask = extra if mask is None else mask * extra
    if mask is not None and mask.max() <= 0:
        source = f'the mask "{photo.mask_path}"' if photo.mask_path else "its alpha channel"
        raise PhotoError(f"{title}: {source} is black all over, so that nothing counts; white is what should count.")
    photo.pixels = np.ascontiguousarray(pixels[::-1])
    photo.mask = None if mask is None or mask.min() >= 1 else np.ascontiguousarray(mask[::-1])
    photo.full_size = (width, height)
    photo.domain = "linear" if picture.linear else "display"
    return [f"{title}: {warning}" for warning in picture.warnings]


def undistort_photo(photo: Photo, projection: Projection) -> None:
    """Make ``pixels`` and ``mask`` those that a lens without distortion would have taken, in place.

    ``projection`` is that of the photo's camera, with its distortion, at the size of ``pixels``. What the lens did not
    see is masked out. Cubic interpolation of the stored values.
    """
    assert photo.pixels is not None, "load_photo first"
    assert projection.camera.distortion is not None, "nothing to undistort"
    height, width = photo.pixels.shape[:2]
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    straight = replace(projection, camera=replace(projection.camera, distortion=None))
    across, up = distort(*straight.slopes(x, y), projection.camera.distortion)
    column = width / 2 + projection.focal[0] * across - projection.offset[0] - 0.5
    row = height / 2 + projection.focal[1] * up - projection.offset[1] - 0.5
    at = np.stack([row, column])
    seen = (row >= -0.5) & (row <= height - 0.5) & (column >= -0.5) & (column <= width - 0.5)
    order = 3 if photo.domain == "display" else 1  # no overshooting beside a sun
    lifted = [map_coordinates(photo.pixels[..., c], at, order=order, mode="nearest") for c in range(3)]
    pixels = np.stack(lifted, axis=-1)
    photo.pixels = np.ascontiguousarray(pixels.clip(0, 1) if photo.domain == "display" else pixels, np.float32)
    mask = np.ones((height, width), np.float32) if photo.mask is None else photo.mask
    mask = map_coordinates(mask, at, order=1, mode="nearest") * seen
    photo.mask = None if mask.min() >= 1 else np.ascontiguousarray(mask, np.float32)


def psnr(image: np.ndarray, reference: np.ndarray, mask: np.ndarray | None = None) -> float:
    """Peak signal to noise ratio in dB, peak 1, of [H, W, C] pictures, weighted by ``mask`` [H, W]; inf if equal."""
    error = np.mean((image.astype(np.float64) - reference) ** 2, axis=-1)
    mean = float(np.average(error, weights=mask))
    return float(-10 * np.log10(mean)) if mean > 0 else float("inf")


def _read(title: str, path: str) -> _Picture:
    """Any supported file; ``title`` begins the error messages."""
    file = Path(path)
    if not file.is_file():
        raise PhotoError(f'{title}: there is no file "{path}"; choose the file anew.')
    if file.stat().st_size == 0:
        raise PhotoError(f'{title}: the file "{path}" is empty (0 bytes); copy it again from its source.')
    try:
        if file.suffix.lower() == ".exr":
            picture = _read_exr(file)
        elif file.suffix.lower() in (".hdr", ".pic", ".rgbe"):
            picture = _Picture(read_hdr(file)[::-1], linear=True)
        else:
            picture = _read_with_pillow(file)
    except (OSError, ValueError, SyntaxError, PillowImage.DecompressionBombError) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise PhotoError(
            f'{title}: the file "{path}" cannot be read ({reason}); save it again as PNG, JPEG, TIFF or OpenEXR.'
        ) from error
    if picture.colour.size == 0:
        raise PhotoError(f'{title}: the picture in "{path}" has no pixels; choose another file.')
    if picture.linear and not np.isfinite(picture.colour).all():
        count = int((~np.isfinite(picture.colour)).any(-1).sum())
        raise PhotoError(
            f'{title}: {count} pixels of "{path}" are infinite or not a number; paint them over or mend the render.'
        )
    return picture


def _read_exr(file: Path) -> _Picture:
    colour, alpha = read_exr(file)
    if alpha is None or alpha.min() >= 1:
        return _Picture(colour[::-1], linear=True)
    alpha = np.clip(alpha, 0, 1)
    straight = colour / np.where(alpha > 0, alpha, 1)[..., None]
    return _Picture(straight[::-1], alpha[::-1], linear=True)


def _read_with_pillow(file: Path) -> _Picture:
    notes: list[str] = []
    with python_warnings.catch_warnings():
        python_warnings.simplefilter("ignore", PillowImage.DecompressionBombWarning)  # large is not wrong
        opened = PillowImage.open(file)
    with opened:
        image = ImageOps.exif_transpose(opened)
        if image.mode == "F":
            return _Picture(np.repeat(np.asarray(image, np.float32)[..., None], 3, -1), linear=True)
        if image.mode.startswith("I"):  # 16-bit grey
            grey = np.clip(np.asarray(image), 0, 65535).astype(np.uint16)
            return _Picture(np.repeat(grey[..., None], 3, -1))
        alpha = None
        if image.has_transparency_data:
            image = image.convert("RGBA")
            alpha = np.asarray(image.getchannel("A"), np.float32) / 255
        return _Picture(np.asarray(_to_srgb(image, notes)), alpha, warnings=notes)


def _to_srgb(image: PillowImage.Image, notes: list[str]) -> PillowImage.Image:
    """Convert from the embedded profile; an image without one is taken as sRGB."""
    embedded = image.info.get("icc_profile")
    if image.mode in ("RGBA", "RGBX", "P", "PA"):
        image = image.convert("RGB")
    if embedded:
        try:
            profile = ImageCms.ImageCmsProfile(io.BytesIO(embedded))
            if "srgb" in ImageCms.getProfileDescription(profile).lower():
                return image.convert("RGB")
            converted = ImageCms.profileToProfile(
                image,
                profile,
                ImageCms.createProfile("sRGB"),
                renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
                outputMode="RGB",
            )
            if converted is not None:
                return converted
        except (ImageCms.PyCMSError, OSError, ValueError):
            notes.append("its colour profile cannot be used, its colours are taken as sRGB; save it as sRGB.")
    elif image.mode == "CMYK":
        notes.append("it is CMYK without a colour profile, its colours are a guess; save it as sRGB.")
    return image.convert("RGB")


def _read_mask(title: str, path: str, photo_size: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
    """Mask [H, W] in 0 … 1 at ``size`` (width, height), top row first: alpha where there is one, else brightness."""
    title = f"{title}, mask"
    picture = _read(title, path)
    height, width = picture.colour.shape[:2]
    if abs(np.log(width / height * photo_size[1] / photo_size[0])) > _SAME_ASPECT:
        raise PhotoError(
            f'{title}: "{path}" has {width} x {height} pixels, another shape than the photo\'s '
            f"{photo_size[0]} x {photo_size[1]}; make it from the photo itself, or mend the photo's orientation."
        )
    mask = picture.alpha
    if mask is None:
        values = picture.colour
        highest = 1.0 if values.dtype.kind == "f" else float(np.iinfo(values.dtype).max)
        mask = np.clip(values.max(-1) / highest, 0, 1).astype(np.float32)
    return _average(mask, size)


def _reduced_size(width: int, height: int, max_side: int) -> tuple[int, int]:
    """Width and height with no side above ``max_side``: the largest that keeps the aspect, see load_photo."""
    longest, shortest = max(width, height), min(width, height)
    if longest <= max_side:
        return width, height
    sides = np.arange(max_side, max(int(max_side * _SIZE_SLACK), 1) - 1, -1)
    exact = sides * shortest / longest
    errors = np.abs(exact - np.maximum(np.round(exact), 1))
    best = int(np.argmax(errors <= _ASPECT_TOLERANCE)) if errors.min() <= _ASPECT_TOLERANCE else int(np.argmin(errors))
    long, short = int(sides[best]), max(round(exact[best]), 1)
    return (long, short) if width >= height else (short, long)


def _reduce(
    picture: _Picture,
    size: tuple[int, int],
    decode: Callable[[np.ndarray], np.ndarray] | None,
    encode: Callable[[np.ndarray], np.ndarray] | None,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Colour [h, w, 3] and alpha [h, w] at ``size`` (width, height), float32.

    ``decode`` comes before the average, ``encode`` after it. Transparent pixels count by their alpha.
    """
    colour, table = picture.colour, None
    if colour.dtype.kind == "u":
        # every value that the file can hold, looked up instead of computed 36 million times
        highest = int(np.iinfo(colour.dtype).max)
        table = np.arange(highest + 1) / highest
        table = (decode(table) if decode else table).astype(np.float32)
    alpha = picture.alpha
    if size == (colour.shape[1], colour.shape[0]):
        pixels = table[colour] if table is not None else colour.astype(np.float32)
        return pixels, alpha

    def rows(first: int, last: int) -> np.ndarray:
        part = table[colour[first:last]] if table is not None else colour[first:last]
        return part if alpha is None else np.dstack([part * alpha[first:last, :, None], alpha[first:last]])

    mean = _average_rows(rows, colour.shape[:2], size)
    if alpha is not None:
        alpha = np.clip(mean[..., 3], 0, 1)
        mean = mean[..., :3] / np.where(alpha > 0, alpha, 1)[..., None]
    return (encode(mean) if encode else mean).astype(np.float32), alpha


def _average(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """[H, W] resampled to ``size`` (width, height)."""
    return _average_rows(lambda first, last: values[first:last, :, None], values.shape, size)[..., 0]


def _average_rows(rows: Callable[[int, int], np.ndarray], full: tuple[int, ...], size: tuple[int, int]) -> np.ndarray:
    """[h, w, C] at ``size`` from a picture that comes in bands of rows [first … last - 1, W, C]."""
    height, width = full
    down, across = _filter_weights(height, size[1]), _filter_weights(width, size[0])
    bands = []
    for top in range(0, size[1], _ROWS_AT_ONCE):
        weights = down[top : top + _ROWS_AT_ONCE]
        first, last = int(weights.indices.min()), int(weights.indices.max()) + 1
        band = np.asarray(rows(first, last), np.float32)
        channels = band.shape[2]
        band = weights[:, first:last] @ band.reshape(last - first, -1)
        band = band.reshape(-1, width, channels).transpose(1, 0, 2).reshape(width, -1)
        bands.append((across @ band).reshape(size[0], -1, channels).transpose(1, 0, 2))
    return np.concatenate(bands)


def _filter_weights(count: int, reduced: int) -> scipy.sparse.csr_matrix:
    """[reduced, count]: how ``count`` pixels in a row make up ``reduced`` ones.

    The old pixels have been through a Blackman-Harris filter of width 1.5 already (a camera's optics and its
    demosaicing are about as soft). Variances add, so the filter for the rest of the way to 1.5 new pixels is a little
    narrower.
    """
    ratio = count / reduced
    half = max(_FILTER_WIDTH * np.sqrt(max(ratio**2 - 1, 0.0)), 1.0)  # in old pixels; below one it would leave gaps
    centres = (np.arange(reduced) + 0.5) * ratio
    columns = np.floor(centres - half).astype(int)[:, None] + np.arange(int(np.ceil(2 * half)) + 1)
    phase = np.pi * ((columns + 0.5 - centres[:, None]) / half + 1)
    terms = [amplitude * np.cos(n * phase) for n, amplitude in enumerate(_BLACKMAN_HARRIS)]
    inside = (phase > 0) & (phase < 2 * np.pi) & (columns >= 0) & (columns < count)
    weights = np.where(inside, sum(terms), 0)
    weights /= weights.sum(1, keepdims=True)
    rows = np.broadcast_to(np.arange(reduced)[:, None], columns.shape)
    entries = weights[inside].astype(np.float32)
    return scipy.sparse.csr_matrix((entries, (rows[inside], columns[inside])), (reduced, count))

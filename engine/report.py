# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of a fit: one HTML page that holds everything it shows, and the pictures as files beside it."""

from __future__ import annotations

import base64
import math
import time
from collections.abc import Iterable
from html import escape
from pathlib import Path

import numpy as np

from .color import srgb_encode
from .files import require_folder, write_atomic
from .images_io import png_bytes
from .report_charts import loss_chart
from .report_pictures import (
    DIFFERENCE_GAIN,
    coverage_gradient,
    coverage_picture,
    difference_gradient,
    difference_picture,
    radiance_picture,
    shrunk,
    texture_picture,
)
from .report_style import CSS, SCRIPT
from .result import FitResult, FitSettings, PhotoResult
from .scene import Scene

PAGE = "report.html"
PICTURES = "pictures"
# Longest side of a picture in the page; the files beside it are whole. Many photos make a page heavy.
_SIDE, _SIDE_OF_MANY, _MANY = 720, 400, 12
_MINUTE = 60.0


def write_report(folder: Path | str, scene: Scene, settings: FitSettings, result: FitResult) -> Path:
    """Write ``report.html`` and ``pictures/*.png`` into ``folder`` (made if need be).

    ``scene`` is the scene as it was before the fit. The page needs no other file and no network. Each of its pictures
    is also a PNG file of full size: ``pictures/NAME_photo.png``, ``NAME_before.png``, ``NAME_after.png``,
    ``NAME_difference.png`` for photos, ``MATERIAL_SOCKET.png`` for textures.

    Returns:
        The path of the page.

    Raises:
        OutputError: the folder cannot be written.
    """
    folder = Path(folder)
    require_folder(folder / PICTURES, create=True)
    gallery = _Gallery(folder / PICTURES, _SIDE if len(result.photos) <= _MANY else _SIDE_OF_MANY)
    photos = [_PhotoPictures(photo, gallery) for photo in result.photos]
    sections = [
        _header(scene, result),
        _tiles(result),
        _heroes(photos),
        _warnings(result),
        _photos(photos),
        _light(scene, result, gallery),
        _textures(result, gallery),
        _coverage(result, gallery),
        _course(result),
        _settings(scene, settings),
        _notes(scene),
    ]
    title = f"Likeness – {scene.name}"
    page = (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{CSS}</style></head>\n"
        f"<body><main>\n{''.join(sections)}</main><script>{SCRIPT}</script></body></html>\n"
    )
    write_atomic(folder / PAGE, page)
    return folder / PAGE


class _Gallery:
    """Writes pictures as files and makes the elements that show them."""

    def __init__(self, folder: Path, side: int) -> None:
        self.folder = folder
        self.side = side
        self.taken: set[str] = set()

    def stem(self, name: str) -> str:
        """A file name for ``name`` that no other picture has, on file systems that ignore case as well."""
        safe = "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in name).strip(".") or "_"
        stem, number = safe, 2
        while stem.casefold() in self.taken:
            stem, number = f"{safe}_{number}", number + 1
        self.taken.add(stem.casefold())
        return stem

    def image(self, file_stem: str, pixels: np.ndarray, alt: str) -> str:
        """Save display-referred ``pixels`` [H, W, 1 or 3] and return an <img> that holds them."""
        whole = png_bytes(pixels)
        write_atomic(self.folder / f"{file_stem}.png", whole)
        small = shrunk(pixels, self.side)
        data = base64.b64encode(whole if small is pixels else png_bytes(small)).decode()
        height, width = pixels.shape[:2]
        return (
            f'<img src="data:image/png;base64,{data}" alt="{escape(alt)}" width="{width}" height="{height}" '
            f'loading="lazy">'
        )


class _PhotoPictures:
    """A photo with its four pictures as elements."""

    def __init__(self, photo: PhotoResult, gallery: _Gallery) -> None:
        self.result = photo
        stem = gallery.stem(photo.name)
        self.photo = gallery.image(f"{stem}_photo", photo.photo, f"photo {photo.name}")
        self.before = gallery.image(f"{stem}_before", photo.before, f"render before the fit, {photo.name}")
        self.after = gallery.image(f"{stem}_after", photo.after, f"render after the fit, {photo.name}")
        difference = difference_picture(photo.photo, photo.after, photo.mask)
        self.difference = gallery.image(f"{stem}_difference", difference, f"difference after the fit, {photo.name}")


def _figure(image: str, caption: str) -> str:
    """``caption`` is HTML."""
    return f"<figure>{image}<figcaption>{caption}</figcaption></figure>"


def _section(title: str, body: str, legend: str = "") -> str:
    if not body:
        return ""
    legend = f'<p class="legend">{legend}</p>' if legend else ""
    return f"<section><h2>{escape(title)}</h2>{legend}{body}</section>\n"


def _table(rows: Iterable[Iterable[str]], head: Iterable[str] = ()) -> str:
    """Cells are HTML; without ``head`` the first cell of a row is its heading."""
    names = "".join(f"<th>{cell}</th>" for cell in head)
    body = []
    for row in rows:
        first, *others = row
        tag = "td" if names else "th"
        body.append(f"<tr><{tag}>{first}</{tag}>{''.join(f'<td>{cell}</td>' for cell in others)}</tr>")
    top = f"<thead><tr>{names}</tr></thead>" if names else ""
    return f"<table>{top}<tbody>{''.join(body)}</tbody></table>"


def _decibel(value: float) -> str:
    if math.isnan(value):
        return "–"
    return "∞ dB" if math.isinf(value) else f"{value:.1f} dB"


def _change(before: float, after: float) -> str:
    direction = "up" if after >= before else "down"
    return f'<span class="{direction}">{_decibel(before)} → {_decibel(after)}</span>'


def _duration(seconds: float) -> str:
    if seconds < _MINUTE:
        return f"{seconds:.1f} s"
    return f"{int(seconds // _MINUTE)} min {int(seconds % _MINUTE):02d} s"


def _swatch(color: np.ndarray) -> str:
    """A square in a scene-linear colour, as bright as the display allows."""
    color = np.nan_to_num(np.asarray(color, np.float64))
    shown = np.floor(255 * srgb_encode(np.clip(color / max(float(color.max()), 1e-9), 0, 1)) + 0.5).astype(int)
    return '<span class="swatch" style="background:#{:02x}{:02x}{:02x}"></span>'.format(*shown)


def _numbers(values: np.ndarray) -> str:
    return '<span class="number">' + " ".join(f"{value:.3g}" for value in np.ravel(values)) + "</span>"


def _header(scene: Scene, result: FitResult) -> str:
    stopped = ' <span class="badge ignored">stopped early</span>' if result.cancelled else ""
    date = time.strftime("%Y-%m-%d %H:%M")
    return (
        f'<header><div class="eyebrow">Likeness report</div><h1>{escape(scene.name)}{stopped}</h1>'
        f'<p class="soft">{date}</p></header>\n'
    )


def _mean(values: list[float]) -> float:
    finite = [value for value in values if math.isfinite(value)]
    return sum(finite) / len(finite) if finite else float("nan")


def _tiles(result: FitResult) -> str:
    before = _mean([photo.psnr_before for photo in result.photos])
    after = _mean([photo.psnr_after for photo in result.photos])
    tiles = [
        (_change(before, after), "mean PSNR, before → after"),
        (str(len(result.photos)), "photo" if len(result.photos) == 1 else "photos"),
        (str(result.iterations), "iterations"),
        (_duration(sum(result.seconds.values())), "time"),
    ]
    cells = "".join(f'<div class="tile"><b>{value}</b><span>{name}</span></div>' for value, name in tiles)
    return f'<div class="tiles">{cells}</div>\n'


def _heroes(photos: list[_PhotoPictures]) -> str:
    """The best and the worst photo, with a slider between before and after."""
    if not photos:
        return ""
    ordered = sorted(photos, key=lambda pictures: pictures.result.psnr_after)
    chosen = [("Best match", ordered[-1]), ("Worst match", ordered[0])] if len(photos) > 1 else [("Match", ordered[0])]
    cards = []
    for title, pictures in chosen:
        photo = pictures.result
        wipe = (
            f'<div class="wipe">{pictures.before}{pictures.after}'
            f'<input type="range" value="50" aria-label="before or after, {escape(photo.name)}"><i></i>'
            "<u>before</u><u>after</u></div>"
        )
        cards.append(
            f'<div class="card"><div class="head"><h3>{title}: {escape(photo.name)}</h3>'
            f'<span class="right">{_change(photo.psnr_before, photo.psnr_after)}</span></div>'
            f'<div class="pair">{_figure(pictures.photo, "photo")}{_figure(wipe, "render; drag to compare")}</div>'
            "</div>"
        )
    return f'<div class="heroes">{"".join(cards)}</div>\n'


def _warnings(result: FitResult) -> str:
    if not result.warnings:
        return ""
    items = "".join(f"<li>{escape(warning)}</li>" for warning in result.warnings)
    return _section("Warnings", f'<div class="card notice"><ul>{items}</ul></div>')


def _photos(photos: list[_PhotoPictures]) -> str:
    cards = []
    for pictures in photos:
        photo = pictures.result
        balance = np.asarray(photo.white_balance)
        gains = " ".join(f"{gain:.2f}" for gain in balance)
        values = [
            f"camera {escape(photo.camera)}",
            f"exposure {photo.exposure:+.2f} stops",
            f'white balance {_swatch(balance)}<span class="number">{gains}</span>',
        ]
        cards.append(
            f'<div class="card"><div class="head"><h3>{escape(photo.name)}</h3>'
            f'<span class="soft">{" · ".join(values)}</span>'
            f'<span class="right">{_change(photo.psnr_before, photo.psnr_after)}</span></div><div class="row">'
            + _figure(pictures.photo, "photo")
            + _figure(pictures.before, f"before · {_decibel(photo.psnr_before)}")
            + _figure(pictures.after, f"after · {_decibel(photo.psnr_after)}")
            + _figure(pictures.difference, f"difference × {DIFFERENCE_GAIN:g}")
            + "</div></div>"
        )
    legend = (
        "Difference after the fit, largest channel of the display values, 0"
        f'<span class="scale" style="background:{difference_gradient()}"></span>{1 / DIFFERENCE_GAIN:g} and more; '
        "grey where the mask is black."
    )
    return _section("Photos", "".join(cards), legend)


def _light(scene: Scene, result: FitResult, gallery: _Gallery) -> str:
    """Fitted lights, world and exposure with what they were before."""
    rows = []
    lights = {light.data_name: light for light in scene.lights}
    for fitted in result.lights:
        old = lights.get(fitted.data_name)
        unit = "W/m²" if old is not None and old.kind == "SUN" else "W"
        before = f"{old.energy:.4g} {unit} {_swatch(old.color)}{_numbers(old.color)}" if old is not None else "–"
        after = f"{fitted.energy:.4g} {unit} {_swatch(fitted.color)}{_numbers(fitted.color)}"
        rows.append((f"Light {escape(fitted.data_name)}", before, after))
    pictures = []
    if result.world is not None:
        old_world = scene.world
        before = f"strength {old_world.strength:.4g}"
        before += f", image {escape(old_world.image)}" if old_world.image else f" {_swatch(old_world.color)}"
        before += "" if old_world.image else _numbers(old_world.color)
        after = f"strength {result.world.strength:.4g}"
        if result.world.pixels is not None:
            after += ", new image"
        elif not old_world.image:
            after += f" {_swatch(result.world.color)}{_numbers(result.world.color)}"
        rows.append((f"World {escape(old_world.name)}", before, after))
        pictures = _environments(scene, result, gallery)
    if result.exposure is not None:
        rows.append(("View exposure", f"{scene.view.exposure:+.2f} stops", f"{result.exposure:+.2f} stops"))
    body = f'<div class="card">{_table(rows, ("", "before", "after"))}</div>' if rows else ""
    if pictures:
        body += f'<div class="card"><div class="grid wide">{"".join(pictures)}</div></div>'
    if result.cycles:
        body += f'<div class="card notice"><p>{escape(result.cycles)}</p></div>'
    if result.gauge:
        body += f'<div class="card notice"><p>{escape(result.gauge)}</p></div>'
    return _section("Light", body)


def _environments(scene: Scene, result: FitResult, gallery: _Gallery) -> list[str]:
    """Equirectangular pictures before and after; the fitted one only where the fit made one."""
    assert result.world is not None
    pictures = []
    old = scene.images.get(scene.world.image or "")
    for title, pixels in (
        ("before", None if old is None else old.pixels[..., :3] * scene.world.strength),
        ("after", None if result.world.pixels is None else result.world.pixels * result.world.strength),
    ):
        if pixels is None:
            continue
        shown, white = radiance_picture(pixels)
        image = gallery.image(gallery.stem(f"environment_{title}"), shown, f"environment {title} the fit")
        pictures.append(_figure(image, f"environment {title} · white is radiance {white:.3g}"))
    return pictures


def _textures(result: FitResult, gallery: _Gallery) -> str:
    figures = []
    for fitted in result.images:
        height, width = fitted.pixels.shape[:2]
        socket = fitted.socket.replace("_", " ")
        image = gallery.image(
            gallery.stem(f"{fitted.material}_{fitted.socket}"),
            texture_picture(fitted),
            f"{socket} of {fitted.material}",
        )
        space = "sRGB" if fitted.encoding == "sRGB" else "Non-Color" if fitted.bits < 32 else "linear"
        mean = _numbers(np.nanmean(fitted.pixels, (0, 1)))
        caption = (
            f"<b>{escape(fitted.material)}</b> {socket}<br>{width} × {height}, {fitted.bits} bit, {space}, mean {mean}"
        )
        figures.append(_figure(image, caption))
    return _section("Textures", f'<div class="card grid">{"".join(figures)}</div>' if figures else "")


def _coverage(result: FitResult, gallery: _Gallery) -> str:
    figures = []
    for material, coverage in result.coverage.items():
        picture, share = coverage_picture(coverage)
        image = gallery.image(gallery.stem(f"{material}_coverage"), picture, f"coverage of {material}")
        figures.append(_figure(image, f"<b>{escape(material)}</b> {100 * share:.0f} % of the texels seen"))
    legend = (
        f'Seen hardly<span class="scale" style="background:{coverage_gradient()}"></span>well; '
        "dark grey was seen by no photo and is filled in from its surroundings."
    )
    return _section("Coverage", f'<div class="card grid">{"".join(figures)}</div>' if figures else "", legend)


def _course(result: FitResult) -> str:
    chart = loss_chart(result.history)
    body = f'<div class="card">{chart}</div>' if chart else ""
    if result.seconds:
        longest = max(*result.seconds.values(), 1e-9)
        rows = [
            (
                escape(stage),
                f'<span class="number">{_duration(seconds)}</span>',
                f'<span class="bar" style="width:{100 * seconds / longest:.1f}%"></span>',
            )
            for stage, seconds in result.seconds.items()
        ]
        body += f'<div class="card times">{_table(rows)}</div>'
    return _section("Course of the fit", body, "Loss by stage, logarithmic; the stages weigh their terms differently.")


def _settings(scene: Scene, settings: FitSettings) -> str:
    view = scene.view
    rows = [
        ("Targets", escape(", ".join(str(target) for target in settings.targets)) or "–"),
        ("Photos, longest side", f"{settings.resolution} pixels"),
        ("Textures", f"{settings.texture_size} × {settings.texture_size}"),
        ("Iterations asked for", str(settings.iterations) if settings.iterations else "automatic"),
        ("Device", escape(settings.device)),
        ("Seed", str(settings.seed)),
        (
            "View transform",
            f"{escape(view.view_transform)}, look {escape(view.look)}, "
            f"exposure {view.exposure:+.2f}, gamma {view.gamma:g}",
        ),
    ]
    return _section("Settings", f'<div class="card">{_table(rows)}</div>')


def _notes(scene: Scene) -> str:
    if not scene.notes:
        return ""
    order = ["error", "ignored", "approximated", "supported"]
    rows = [
        (f'<span class="badge {note.severity}">{note.severity}</span>', escape(note.datablock), escape(note.message))
        for note in sorted(scene.notes, key=lambda note: order.index(note.severity))
    ]
    counts = ", ".join(
        f"{count} {severity}" for severity in order if (count := sum(note.severity == severity for note in scene.notes))
    )
    table = _table(rows, ("", "datablock", "what Likeness does about it"))
    body = f'<details class="card" open><summary>{counts}</summary>{table}</details>'
    return _section("What was read from the scene", body)

# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/gallery.md: every scene of the benchmarks `direct` and `tabletop` as Cycles | Likeness | difference x 8.

``python -m benchmarks.gallery [name …]``; with names, the lines of the other scenes stay."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

import numpy as np
from PIL import Image

from tests.scenes.tabletop import TABLETOP, WORST

from . import direct, tabletop
from .figures import OUTPUT, ROOT, Figure, at_least, show
from .references import Compared, strip

FOLDER = ROOT / "docs" / "images" / "gallery"
PAGE = ROOT / "docs" / "gallery.md"
STORE = OUTPUT / "gallery.json"
QUALITY = 88  # of JPEG, colours at full size
HEAD = """# Gallery

What the engine renders beside what Cycles renders: **Cycles | Likeness | their difference × 8** around grey, and dB
of the sRGB-encoded picture against the converged one of Cycles. `python -m benchmarks.gallery` makes this page.
Grain in the difference is what is left of noise, mostly the engine's; whatever has a shape is a difference of formulas.
"""


def _write(name: str, both: Compared) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    pixels = np.rint(strip(both)[::-1] * 255).astype(np.uint8)
    Image.fromarray(pixels).save(FOLDER / f"{name}.jpg", quality=QUALITY, subsampling=0, optimize=True)


def _noise(decibels: float) -> str:
    return f"{decibels:.0f} dB" if decibels > 0 else "(a test's reference)"


def _section(title: str, about: str, entries: dict[str, dict[str, float]]) -> list[str]:
    rows = [
        f"| {name.replace('_', ' ')} | ![{name}](images/gallery/{name}.jpg) | "
        f"{entry['decibels']:.1f} dB | {entry['wanted']:.0f} dB | {_noise(entry['noise'])} |"
        for name, entry in entries.items()
    ]
    head = [
        "| scene | Cycles, Likeness, difference × 8 | reached | wanted | Cycles' own noise |",
        "|---|---|---|---|---|",
    ]
    return ["", f"## {title}", "", about, "", *head, *rows]


def write_page(stored: dict[str, dict[str, dict[str, float]]]) -> None:
    """The page from what is known of each scene."""
    whole = {name: stored["tabletop"][name] for name in TABLETOP if name in stored["tabletop"]}
    single = {name: stored["direct"][name] for name in direct.cases() if name in stored["direct"]}
    parts = [HEAD.strip()]
    parts += _section(
        "Full light transport",
        f"Tabletops with all light that is reflected between things, {tabletop.SAMPLES} samples a pixel and kind of "
        "light, without Cycles in the loop.",
        whole,
    )
    parts += _section(
        "Light over one surface",
        f"One property each, {direct.SAMPLES} samples a pixel and kind of light; nothing here can hide behind noise.",
        single,
    )
    PAGE.write_text("\n".join(parts) + "\n", encoding="utf-8")


def measure(names: list[str] | None = None) -> list[Figure]:
    """Render what is asked for, by default everything, and write page and pictures."""
    stored = json.loads(STORE.read_text(encoding="utf-8")) if STORE.exists() else {"direct": {}, "tabletop": {}}
    kinds: tuple[tuple[str, dict, Callable[[str], tuple[Compared, float]]], ...] = (
        ("direct", direct.cases(), lambda name: direct.measure_case(name, direct.cases()[name])),
        ("tabletop", TABLETOP, lambda name: (tabletop.pictures(name), WORST)),
    )
    figures: list[Figure] = []
    for kind, cases, pictures in kinds:
        for name in cases:
            if names and name not in names:
                continue
            both, wanted = pictures(name)
            _write(name, both)
            stored[kind][name] = {"decibels": both.decibels, "wanted": wanted, "noise": both.noise}
            figures += show([at_least(name, both.decibels, wanted, "dB")])
    STORE.parent.mkdir(parents=True, exist_ok=True)
    STORE.write_text(json.dumps(stored, indent=1), encoding="utf-8")
    write_page(stored)
    return figures


if __name__ == "__main__":
    measure(sys.argv[1:])

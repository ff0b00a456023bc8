# SPDX-License-Identifier: GPL-3.0-or-later
"""A lens calibrated from real photos of a chessboard by rendering alone: 13 poses, one lens, no corner detector.

The photos are not part of Likeness: set LIKENESS_DATA to the folder that holds chessboard (OpenCV's left01.jpg … and
reference.json, what OpenCV makes of the corners that it detects).
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from likeness.bridge.read_scene import read_scene
from likeness.engine.camera import Projection
from likeness.engine.result import Target
from likeness.engine.scene import Camera, Photo, Scene
from likeness.engine.solve.rig import moved
from tests.scenes import build

from .cameras import search
from .figures import ROOT, Figure, at_most, note, show

WIDTH, HEIGHT = 640, 480
SENSOR = 36.0
# The board as it is printed, in squares from the first inner corner, y down: squares, paper, plate (x0, y0, x1, y1).
SQUARES, PAPER, PLATE = (-0.52, -0.95, 8.45, 5.95), (-0.70, -1.12, 8.57, 6.05), (-1.25, -1.35, 9.25, 6.2)
BLACK, WHITE, GREY = 0.09, 0.93, 0.30  # as displayed; the fit finds gain and offset of each photo
TEXELS = 64  # a square
TARGETS = ("camera", "lens", "shift", "distortion", "exposure", "world")
FLIP = np.diag([1.0, -1.0, -1.0, 1.0])  # OpenCV's axes to Blender's, of world and camera


def data_folder() -> Path | None:
    """Where the photos are, or None."""
    folder = Path(os.environ.get("LIKENESS_DATA", ROOT.parent / "shared" / "data")) / "chessboard"
    return folder if (folder / "reference.json").exists() else None


def board() -> Scene:
    """The board as a textured plane that shines by itself; one square is one metre."""
    x0, y0, x1, y1 = PLATE
    y, x = np.meshgrid(np.arange(y0, y1, 1 / TEXELS), np.arange(x0, x1, 1 / TEXELS), indexing="ij")
    y, x = y + 0.5 / TEXELS, x + 0.5 / TEXELS

    def inside(box: tuple[float, float, float, float]) -> np.ndarray:
        return (x > box[0]) & (x < box[2]) & (y > box[1]) & (y < box[3])

    black = inside(SQUARES) & ((np.floor(x) + np.floor(y)) % 2 == 0)
    picture = np.where(black, BLACK, np.where(inside(PAPER), WHITE, GREY))
    scene = build.new_scene("Standard")
    image = build.add_image("Board", picture[::-1, :, None].repeat(3, -1), "sRGB")
    material = build.add_material(
        "Board", maps={"emission_color": image}, emission_strength=1.0, base_color=(0.0, 0.0, 0.0), specular_level=0.0
    )
    points = np.array([[(x0, -y1, 0.0), (x1, -y1, 0.0)], [(x0, -y0, 0.0), (x1, -y0, 0.0)]])
    build.add_mesh("Board", [build.grid(points)], [material], smooth=False)
    return read_scene(scene)


def reference_camera(entry: dict, lens: dict) -> Camera:
    """What OpenCV found."""
    to_camera = FLIP @ np.array(entry["board_to_camera"]) @ FLIP
    k1, k2, p1, p2, k3 = (lens["distortion"][name] for name in ("k1", "k2", "p1", "p2", "k3"))
    # pixel (0, 0) is the centre of the first pixel there
    shift = (WIDTH / 2 - lens["cx"] - 0.5) / WIDTH, (lens["cy"] + 0.5 - HEIGHT / 2) / WIDTH
    return Camera(
        Path(entry["file"]).stem,
        np.linalg.inv(to_camera),
        lens=0.5 * (lens["fx"] + lens["fy"]) * SENSOR / WIDTH,
        shift_x=shift[0],
        shift_y=shift[1],
        data_name="Lens",
        distortion=(k1, k2, p1, p2, k3),
    )


def rough(camera: Camera, seed: int) -> Camera:
    """2.5 degrees and 3 % of the distance off, focal length 10 % off, nothing known of centre and distortion."""
    rng = np.random.default_rng(seed)
    turn = rng.normal(size=3)
    pose = np.zeros(6)
    pose[:3] = np.radians(2.5) * turn / np.linalg.norm(turn)
    pose[3:5] = rng.uniform(-0.01, 0.01, 2)
    pose[5] = np.log(1 + rng.uniform(-0.03, 0.03)) + np.log(1.1)  # so far that the board has its size in the photo
    middle = np.array([4.0, -2.5, 0.0])
    centred = replace(camera, lens=camera.lens * 1.1, shift_x=0.0, shift_y=0.0, distortion=None)
    return replace(centred, matrix=moved(camera.matrix, middle, pose))


def corner_errors(cameras: dict[str, Camera], reference: dict) -> np.ndarray:
    """Distances [702] in pixels of the board's inner corners from where OpenCV detects them."""
    columns, rows = reference["board"]["inner_corners"]
    corners = np.array([(i % columns, -(i // columns), 0.0) for i in range(columns * rows)])
    errors = []
    for entry in reference["left"]["images"]:
        camera = cameras[Path(entry["file"]).stem]
        places = Projection.of(camera, WIDTH, HEIGHT).project(corners)[:, :2]
        detected = np.array(entry["corners_px"])
        errors.append(np.hypot(places[:, 0] - detected[:, 0] - 0.5, HEIGHT - places[:, 1] - detected[:, 1] - 0.5))
    return np.concatenate(errors)


def measure(names: Sequence[str] = ()) -> list[Figure]:
    """Calibrate and compare."""
    data = data_folder()
    if data is None:
        print("Chessboard: skipped. Its photos are not here; set LIKENESS_DATA to the folder that holds chessboard.")
        return []
    reference = json.loads((data / "reference.json").read_text(encoding="utf-8"))
    entries = reference["left"]["images"]
    truths = {Path(entry["file"]).stem: reference_camera(entry, reference["left"]) for entry in entries}
    scene = board()
    scene.cameras = {name: rough(camera, seed) for seed, (name, camera) in enumerate(truths.items())}
    scene.photos = [Photo(Path(entry["file"]).stem, str(data / entry["file"])) for entry in entries]
    scene.film.width, scene.film.height = WIDTH, HEIGHT
    start = corner_errors(scene.cameras, reference)
    began = time.perf_counter()
    found = search(scene, [Target(kind) for kind in TARGETS], WIDTH)
    seconds = time.perf_counter() - began
    cameras = {name: found.scene.cameras[name] for name in truths}
    errors = corner_errors(cameras, reference)
    one, true = cameras[next(iter(truths))], truths[next(iter(truths))]
    assert one.distortion is not None
    assert true.distortion is not None
    doubt = found.found[0].deviations
    for warning in found.warnings:
        print("  " + warning)
    pixels = WIDTH / SENSOR
    return show(
        [
            at_most("chessboard, focal length against OpenCV's", 100 * abs(one.lens / true.lens - 1), 0.7, "%", 2),
            at_most("chessboard, k1 against OpenCV's", abs(one.distortion[0] - true.distortion[0]), 0.03, "", 4),
            at_most(
                "chessboard, corners against those detected", float(np.sqrt(np.mean(errors**2))), 0.35, "px RMS", 3
            ),
            note(
                "chessboard, OpenCV's own corners", f"{np.sqrt(np.mean(corner_errors(truths, reference) ** 2)):.3f} px"
            ),
            note("chessboard, starts", f"{np.sqrt(np.mean(start**2)):.1f} px RMS"),
            note("chessboard, focal length", f"{one.lens * pixels:.2f} +- {doubt['lens'] * pixels:.2f} px"),
            note("chessboard, k1 k2 p1 p2 k3", " ".join(f"{value:.4f}" for value in one.distortion)),
            note("chessboard, time", f"{seconds:.0f} s"),
        ]
    )


if __name__ == "__main__":
    measure(sys.argv[1:])

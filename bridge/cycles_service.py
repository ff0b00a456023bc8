# SPDX-License-Identifier: GPL-3.0-or-later
"""Cycles as a service of a running fit: a process that holds a copy of the artist's file and renders it as the fit
stands.

Requests are JSON lines on stdin::

    {"id": 3, "folder": "…", "samples": 48, "seed": 0,
     "views": [{"camera": "Camera", "width": 256, "height": 192, "aspect": [1, 1]}]}

``folder`` holds a result (engine.job), which is written into the file first, and gets the pictures: 0.npy, 1.npy, …,
[height, width, 3] float32, scene-linear, row 0 at the bottom. Answers on stdout: ``{"type": "ready"}`` once, then
``{"type": "done", "id"}`` or ``{"type": "failed", "id", "message"}``. The process ends with its stdin.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
import traceback
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from ..engine.job import load_result
from ..engine.messages import sender, take_stdout
from . import session, versions
from .open_save import open_blend
from .write_result import write_result


def serve(blend: str, scene_name: str) -> None:
    """Answer requests about a scene of the file ``blend`` until stdin ends."""
    send = sender(take_stdout())
    requests: queue.Queue[dict[str, Any]] = queue.Queue()
    threading.Thread(target=_listen, args=(requests,), daemon=True).start()
    open_blend(blend)
    session.enter_object_mode()  # a fit may be started in another, and its result written in no other
    scene = session.scene_named(scene_name)
    send(type="ready")
    while True:
        request = requests.get()
        try:
            _render(scene, request)
            send(type="done", id=request["id"])
        except Exception as error:  # whatever it is, the fit goes on without Cycles and says why
            traceback.print_exc()
            send(type="failed", id=request["id"], message=str(error).strip() or repr(error))


def _listen(requests: queue.Queue[dict[str, Any]]) -> None:
    # unbuffered: a thread that waits inside of a buffer would abort the interpreter at its end
    with open(sys.stdin.fileno(), "rb", buffering=0, closefd=False) as lines:
        for line in iter(lines.readline, b""):
            requests.put(json.loads(line))
    os._exit(0)  # in the middle of a render, too: nobody waits for it


def _render(scene: bpy.types.Scene, request: dict[str, Any]) -> None:
    folder = Path(request["folder"])
    write_result(scene, load_result(folder))
    _prepare(scene, request["samples"], request["seed"])
    cameras = {obj.name_full: obj for obj in scene.objects if obj.type == "CAMERA"}
    render = scene.render
    for number, view in enumerate(request["views"]):
        scene.camera = cameras[view["camera"]]
        render.resolution_x, render.resolution_y = view["width"], view["height"]
        render.pixel_aspect_x, render.pixel_aspect_y = view["aspect"]
        render.filepath = str(folder / "view.exr")
        bpy.ops.render.render(write_still=True, scene=scene.name)
        np.save(folder / f"{number}.npy", _pixels(render.filepath))


def _prepare(scene: bpy.types.Scene, samples: int, seed: int) -> None:
    """The artist's own Cycles settings, with few samples, denoised, and nothing after the render."""
    render, cycles = scene.render, scene.cycles
    render.engine = "CYCLES"
    render.resolution_percentage = 100
    render.use_border = render.use_motion_blur = render.use_compositing = render.use_sequencer = False
    render.use_file_extension = False
    cycles.samples, cycles.seed, cycles.use_animated_seed = samples, seed, False
    cycles.use_adaptive_sampling = False
    cycles.time_limit = 0.0
    try:
        cycles.denoiser = "OPENIMAGEDENOISE"
        cycles.use_denoising = True
    except TypeError:  # built without it
        cycles.use_denoising = False
    versions.write_float_exr(render.image_settings)


def _pixels(path: str) -> np.ndarray:
    image = bpy.data.images.load(path)
    image.colorspace_settings.name = "Non-Color"
    width, height = image.size
    pixels = np.empty(width * height * 4, np.float32)
    image.pixels.foreach_get(pixels)
    bpy.data.images.remove(image)
    return pixels.reshape(height, width, 4)[..., :3].copy()

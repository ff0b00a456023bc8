# SPDX-License-Identifier: GPL-3.0-or-later
"""Photo and fit, drawn over the 3D View: exactly over what the photo's camera sees, or small in a corner.

The pictures are files that the worker writes (engine/preview.py); what there is to draw is told by properties. Values
are display-referred and go to the screen as they are.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import Any

import bpy
import gpu
import numpy as np
from bpy_extras.view3d_utils import location_3d_to_region_2d
from gpu_extras.batch import batch_for_shader
from mathutils import Matrix, Vector

from .overlay_curve import draw_curve

_MODES = {"PHOTO": 0, "FIT": 1, "BEFORE": 2, "DIFFERENCE": 3, "WIPE": 4}
_INSET = 0.3  # of the width that is free
_MARGIN = 12.0  # pixels at a scale of 1
_MOST = 3  # photos whose textures are kept

_VERTEX = """
void main()
{
  uv = at;
  gl_Position = ModelViewProjectionMatrix * vec4(position, 0.0, 1.0);
}
"""
# What is drawn over a view goes to the screen through a power of 1 / 2.2; its inverse lets display values arrive
# unchanged.
_FRAGMENT = """
void main()
{
  vec4 p = texture(photo, uv);
  vec4 f = texture(fit, uv);
  vec4 color = p;
  if (mode == 1) {
    color = f;
  }
  else if (mode == 2) {
    color = texture(before, uv);
  }
  else if (mode == 3) {
    color = vec4(min(abs(p.rgb - f.rgb) * gain, vec3(1.0)), f.a);
  }
  else if (mode == 4) {
    color = uv.x < wipe ? p : f;
    if (abs(uv.x - wipe) < line) {
      color = vec4(1.0);
    }
  }
  result = vec4(pow(color.rgb, vec3(2.2)), color.a * opacity);
}
"""

_handlers: list[Any] = []
_shaders: list[gpu.types.GPUShader] = []
# path of the pictures -> what of the file has changed when it differs, and the textures
_textures: dict[str, tuple[tuple[float, ...], list[gpu.types.GPUTexture]]] = {}


def register() -> None:
    """Draw over all 3D Views from now on."""
    handler = bpy.types.SpaceView3D.draw_handler_add(_draw, (), "WINDOW", "POST_PIXEL")
    _handlers.append(handler)


def unregister() -> None:
    """Stop drawing and free the textures. Safe to call twice."""
    while _handlers:
        bpy.types.SpaceView3D.draw_handler_remove(_handlers.pop(), "WINDOW")
    _textures.clear()
    _shaders.clear()


def photo_corners(
    camera: bpy.types.Object, size: tuple[float, float], pixel_aspect: tuple[float, float] = (1.0, 1.0)
) -> list[Vector]:
    """The corners of a photo of that size in world space, from the lower left one counter-clockwise, one unit before
    its camera. The photo's own aspect counts, never the scene's resolution."""
    data = camera.data
    width, height = size[0] * pixel_aspect[0], size[1] * pixel_aspect[1]
    horizontal = data.sensor_fit == "HORIZONTAL" or (data.sensor_fit == "AUTO" and width >= height)
    sensor = data.sensor_height if data.sensor_fit == "VERTICAL" else data.sensor_width
    extent = data.ortho_scale if data.type == "ORTHO" else sensor / data.lens
    unit = extent / (width if horizontal else height)
    middle = Vector((data.shift_x * extent, data.shift_y * extent, -1.0))
    half = Vector((0.5 * width * unit, 0.5 * height * unit, 0.0))
    place, rotation, _scale = camera.matrix_world.decompose()
    to_world = Matrix.LocRotScale(place, rotation, None)
    signs = ((-1, -1), (1, -1), (1, 1), (-1, 1))
    return [to_world @ (middle + Vector((half.x * x, half.y * y, 0.0))) for x, y in signs]


def _draw() -> None:
    context = bpy.context
    manager = context.window_manager
    state, overlay = manager.likeness_run, manager.likeness_overlay
    if not len(state.previews):
        _textures.clear()
    if context.scene.name != state.scene or not context.space_data.overlay.show_overlays:
        return
    scale = context.preferences.system.ui_scale
    right = context.region.width - _sidebar_width(context) - _MARGIN * scale
    bottom = _MARGIN * scale
    if overlay.curve and state.running and len(state.curve) > 1:
        bottom = draw_curve(state, right, bottom, scale) + _MARGIN * scale
    if not overlay.show:
        return
    camera = _camera_of_view(context)
    shown = next((item for item in state.previews if camera is not None and item.camera == camera.name), None)
    if shown is not None:
        over = [
            location_3d_to_region_2d(context.region, context.region_data, corner)
            for corner in _corners(context, camera, shown)
        ]
        if None not in over:
            _draw_picture(shown, over, overlay)
    elif overlay.inset and len(state.previews):
        item = _active_preview(context, state)
        width = min(_INSET * right, 480.0 * scale)
        height = width * item.height / max(item.width, 1)
        left = right - width
        _draw_picture(
            item, [(left, bottom), (right, bottom), (right, bottom + height), (left, bottom + height)], overlay
        )


def _corners(context: bpy.types.Context, camera: bpy.types.Object, shown: Any) -> list[Vector]:
    render = context.scene.render
    aspect = (render.pixel_aspect_x, render.pixel_aspect_y)
    return photo_corners(camera, (shown.width, shown.height), aspect)


def _camera_of_view(context: bpy.types.Context) -> bpy.types.Object | None:
    """The camera that the view looks through; None where it looks freely."""
    if context.region_data.view_perspective != "CAMERA":
        return None
    space = context.space_data
    camera = space.camera if space.use_local_camera else context.scene.camera
    return camera if camera is not None and camera.type == "CAMERA" else None


def _active_preview(context: bpy.types.Context, state: Any) -> Any:
    """The pictures of the photo that is chosen in the list; else the first."""
    settings = context.scene.likeness
    active = settings.active_photo
    name = settings.photos[active].name if 0 <= active < len(settings.photos) else ""
    return next((item for item in state.previews if item.photo == name), state.previews[0])


def _sidebar_width(context: bpy.types.Context) -> float:
    """How much of the view the sidebar covers."""
    if not context.preferences.system.use_region_overlap:
        return 0.0
    return float(sum(region.width for region in context.area.regions if region.type == "UI" and region.width > 1))


def _draw_picture(item: Any, corners: Sequence[Any], overlay: Any) -> None:
    textures = _current_textures(item)
    if not textures:
        return
    shader = _shader()
    places = [(corner[0], corner[1]) for corner in corners]
    across = math.dist(places[0], places[1])
    batch = batch_for_shader(
        shader, "TRI_FAN", {"position": places, "at": [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)]}
    )
    gpu.state.blend_set("ALPHA")
    shader.bind()
    for name, texture in zip(("photo", "fit", "before"), (*textures, textures[-1]), strict=False):
        shader.uniform_sampler(name, texture)
    mode = overlay.mode if len(textures) > 2 or overlay.mode != "BEFORE" else "FIT"
    shader.uniform_int("mode", _MODES[mode])
    for name, value in (
        ("opacity", overlay.opacity),
        ("wipe", overlay.wipe),
        ("gain", overlay.gain),
        ("line", 1.0 / max(across, 1.0)),
    ):
        shader.uniform_float(name, value)
    batch.draw(shader)
    gpu.state.blend_set("NONE")


def _current_textures(item: Any) -> list[gpu.types.GPUTexture]:
    """Photo, fit and, after the end, before; read only when the file has changed."""
    try:
        key = (item.serial, os.stat(item.path).st_mtime)
        if item.path in _textures and _textures[item.path][0] == key:
            return _textures[item.path][1]
        pictures = np.load(item.path, allow_pickle=False)
    except (OSError, ValueError):  # the run was discarded
        _textures.pop(item.path, None)
        return []
    made = []
    for picture in pictures:
        height, width = picture.shape[:2]
        values = np.ascontiguousarray(picture, np.float32).ravel() / np.float32(255.0)
        made.append(
            gpu.types.GPUTexture((width, height), format="RGBA8", data=gpu.types.Buffer("FLOAT", len(values), values))
        )
    _textures.pop(item.path, None)
    _textures[item.path] = key, made
    while len(_textures) > _MOST:
        _textures.pop(next(iter(_textures)))
    return made


def _shader() -> gpu.types.GPUShader:
    if not _shaders:
        between = gpu.types.GPUStageInterfaceInfo("likeness_overlay")
        between.smooth("VEC2", "uv")
        info = gpu.types.GPUShaderCreateInfo()
        info.push_constant("MAT4", "ModelViewProjectionMatrix")
        info.push_constant("INT", "mode")
        for name in ("opacity", "wipe", "gain", "line"):
            info.push_constant("FLOAT", name)
        for slot, name in enumerate(("photo", "fit", "before")):
            info.sampler(slot, "FLOAT_2D", name)
        info.vertex_in(0, "VEC2", "position")
        info.vertex_in(1, "VEC2", "at")
        info.vertex_out(between)
        info.fragment_out(0, "VEC4", "result")
        info.vertex_source(_VERTEX)
        info.fragment_source(_FRAGMENT)
        _shaders.append(gpu.shader.create_from_info(info))
    return _shaders[0]

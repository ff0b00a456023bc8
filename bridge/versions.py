# SPDX-License-Identifier: GPL-3.0-or-later
"""Every difference between Blender 4.2, 4.5, 5.0 and 5.2 that the bridge meets; nothing else tests the version."""

from __future__ import annotations

import os

import bpy

EMBEDDED_NODES_ONLY = bpy.app.version >= (5, 0, 0)
# Cycles computes the energy of a coat another way before 4.5: pictures differ by one to three percent
COAT_IS_CURRENT = bpy.app.version >= (4, 5, 0)
# what Cycles shows where there is no material: a Principled BSDF with default values, before that a diffuse grey of .8
DEFAULT_SURFACE_IS_PRINCIPLED = bpy.app.version >= (5, 0, 0)


def uses_nodes(datablock: bpy.types.Material | bpy.types.World) -> bool:
    """Whether the node tree of a material or world counts; from 5.0 it always does and ``use_nodes`` is deprecated."""
    if EMBEDDED_NODES_ONLY:
        return datablock.node_tree is not None
    return bool(datablock.use_nodes) and datablock.node_tree is not None


def enable_nodes(datablock: bpy.types.Material | bpy.types.World) -> None:
    """Give a new material or world its node tree; done by Blender itself from 5.0 on."""
    if datablock.node_tree is None or not EMBEDDED_NODES_ONLY:
        datablock.use_nodes = True


def bump_correction(material: bpy.types.Material) -> bool:
    """``use_bump_map_correction`` of Cycles; on where the property does not exist."""
    return bool(getattr(getattr(material, "cycles", None), "use_bump_map_correction", True))


def displacement_method(material: bpy.types.Material) -> str:
    """ "BUMP", "DISPLACEMENT" or "BOTH"."""
    return str(material.displacement_method)


def normal_map_is_directx(node: bpy.types.Node) -> bool:
    """Whether a Normal Map node reads its green channel downwards; a choice that exists from 5.2 on."""
    return getattr(node, "convention", "OPENGL") == "DIRECTX"


def light_exposure(light: bpy.types.Light) -> float:
    """Exposure of a light in stops; from 4.5 on."""
    return float(getattr(light, "exposure", 0.0))


def light_normalize(light: bpy.types.Light) -> bool:
    """Whether a light's power does not depend on its size; a choice from 4.5 on, always so before."""
    return bool(getattr(light, "normalize", True))


def light_temperature_colour(light: bpy.types.Light) -> tuple[float, float, float]:
    """Rec.709 colour of a light's blackbody temperature, white where unused; from 4.5 on."""
    if not getattr(light, "use_temperature", False):
        return (1.0, 1.0, 1.0)
    red, green, blue = light.temperature_color
    return (red, green, blue)


def light_casts_shadow(light: bpy.types.Light) -> bool:
    """``use_shadow``; Cycles had its own switch before 4.3."""
    return bool(getattr(getattr(light, "cycles", None), "cast_shadow", light.use_shadow))


def working_space() -> str:
    """The colour space of scene-linear values: chosen a file from 5.0 on, Rec.709 before."""
    settings = getattr(bpy.data, "colorspace", None)
    return settings.working_space if settings is not None else "Linear Rec.709"


def ocio_config() -> str:
    """Path of the OpenColorIO configuration in use: the environment's, else Blender's own."""
    from_environment = os.environ.get("OCIO", "")
    if from_environment and os.path.isfile(from_environment):
        return from_environment
    for kind in ("LOCAL", "SYSTEM"):
        folder = bpy.utils.resource_path(kind)
        path = os.path.join(folder, "datafiles", "colormanagement", "config.ocio")
        if folder and os.path.isfile(path):
            return path
    return ""


def uses_adaptive_subdivision(owner: bpy.types.Object, modifier: bpy.types.Modifier) -> bool:
    """Cycles' adaptive subdivision: on the modifier from 5.0 on, on the object before."""
    if hasattr(modifier, "use_adaptive_subdivision"):
        return bool(modifier.use_adaptive_subdivision)
    return bool(getattr(getattr(owner, "cycles", None), "use_adaptive_subdivision", False))


def has_compositor(scene: bpy.types.Scene) -> bool:
    """Whether the compositor changes renders: a node group from 5.0 on, the scene's own tree before."""
    if hasattr(scene, "compositing_node_group"):
        return scene.compositing_node_group is not None
    return bool(scene.use_nodes) and scene.node_tree is not None


def path_options() -> set[str]:
    """Options of a file path property that may be relative to the .blend; Blender asks for the flag from 4.5 on."""
    return {"ANIMATABLE", "PATH_SUPPORTS_BLEND_RELATIVE"} if bpy.app.version >= (4, 5, 0) else {"ANIMATABLE"}


def terminator_offset(obj: bpy.types.Object) -> float:
    """Shadow terminator geometry offset: Cycles' own property of the object up to 4.2, the object's later."""
    if hasattr(obj, "shadow_terminator_geometry_offset"):
        return float(obj.shadow_terminator_geometry_offset)
    return float(obj.cycles.shadow_terminator_geometry_offset)


def terminator_shading_offset(obj: bpy.types.Object) -> float:
    """Shadow terminator shading offset: Cycles' own property of the object up to 4.2, the object's later."""
    if hasattr(obj, "shadow_terminator_shading_offset"):
        return float(obj.shadow_terminator_shading_offset)
    return float(getattr(obj.cycles, "shadow_terminator_offset", 0.0))


def write_float_exr(settings: bpy.types.ImageFormatSettings) -> None:
    """Let renders be saved as 32-bit EXR; from 5.0 on the kind of media is chosen first."""
    if hasattr(settings, "media_type"):
        settings.media_type = "IMAGE"
    settings.file_format, settings.color_mode, settings.color_depth = "OPEN_EXR", "RGBA", "32"


def use_opengl_normals(node: bpy.types.Node) -> None:
    """Let a Normal Map node read its green channel upwards, which it always did before 5.2."""
    if hasattr(node, "convention"):
        node.convention = "OPENGL"


def action_curves(animation: bpy.types.AnimData) -> list[bpy.types.FCurve]:
    """The keyframed curves of a datablock: its action's, from 4.4 on those of its slot in the action."""
    action = animation.action
    if action is None:
        return []
    slot = getattr(animation, "action_slot", None)
    if not hasattr(action, "layers") or slot is None:
        return list(getattr(action, "fcurves", ()))
    bags = [strip.channelbag(slot) for layer in action.layers for strip in layer.strips]
    return [curve for bag in bags if bag is not None for curve in bag.fcurves]


def save_image_copy(image: bpy.types.Image, path: str) -> None:
    """Save an image to a file that does not become its own; before there was a word for that, it never did."""
    if "save_copy" in bpy.types.Image.bl_rna.functions["save"].parameters:
        image.save(filepath=path, save_copy=True)
    else:
        image.save(filepath=path)

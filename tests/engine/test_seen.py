# SPDX-License-Identifier: GPL-3.0-or-later
"""Who sees what: ray visibility, holdouts, clip planes and the transparent film, against small renders by Cycles."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import bpy
import numpy as np
import pytest

from likeness.bridge.read_scene import read_scene
from likeness.engine.render import render
from tests.scenes import build
from tests.scenes.catalogue import EXACT, NOISY
from tests.scenes.cycles import render_cycles
from tests.scenes.make_references import psnr

SIZE = 48


def stage() -> bpy.types.Object:
    """Three balls on a table under a hard light; the film is transparent. Returns the camera."""
    build.new_scene()
    build.add_plane("Table", build.add_material("Table", base_color=(0.5, 0.5, 0.5), roughness=0.6), 5.0)
    for number, color in enumerate(((0.7, 0.2, 0.1), (0.2, 0.6, 0.2), (0.2, 0.3, 0.8))):
        material = build.add_material(f"Ball {number}", base_color=color, roughness=0.4)
        build.add_sphere(f"Ball {number}", material, 0.6, (1.2 * number - 1.2, 0.3 * number, 0.6), rows=24, columns=48)
    build.add_light("POINT", (1.8, -2.0, 3.6), energy=450.0, shadow_soft_size=0.0)
    bpy.context.scene.render.film_transparent = True
    return build.add_camera("Camera", (1.6, -4.6, 2.6), (0.0, 0.0, 0.5), lens=42.0)


def hidden_from_the_camera() -> bpy.types.Object:
    camera = stage()
    bpy.data.objects["Ball 0"].visible_camera = False
    return camera


def hidden_from_shadow_rays() -> bpy.types.Object:
    camera = stage()
    bpy.data.objects["Ball 2"].visible_shadow = False
    return camera


def _in_collection(name: str, setting: str) -> None:
    collection = bpy.data.collections.new("Special")
    bpy.context.scene.collection.children.link(collection)
    collection.objects.link(bpy.data.objects[name])
    bpy.context.scene.collection.objects.unlink(bpy.data.objects[name])
    setattr(bpy.context.view_layer.layer_collection.children["Special"], setting, True)


def indirect_only_collection() -> bpy.types.Object:
    camera = stage()
    _in_collection("Ball 1", "indirect_only")
    return camera


def holdout_collection() -> bpy.types.Object:
    camera = stage()
    _in_collection("Ball 1", "holdout")
    return camera


def holdouts() -> bpy.types.Object:
    """An object, and a shader; both still cast shadows. The film is opaque: holes are black and empty all the same."""
    camera = stage()
    bpy.context.scene.render.film_transparent = False
    build.set_world(bpy.context.scene, (0.2, 0.3, 0.4))
    bpy.data.objects["Ball 0"].is_holdout = True
    tree = bpy.data.materials["Ball 2"].node_tree
    output = next(node for node in tree.nodes if node.type == "OUTPUT_MATERIAL")
    tree.links.new(tree.nodes.new("ShaderNodeHoldout").outputs[0], output.inputs["Surface"])
    return camera


def holdout_between_blended_balls() -> bpy.types.Object:
    """Blended surfaces in front of and behind a holdout. No roulette: it biases the alpha of holdouts in Cycles."""
    camera = stage()
    bpy.context.scene.cycles.min_transparent_bounces = 8
    bpy.data.objects["Ball 1"].is_holdout = True
    for name, alpha in (("Ball 0", 0.4), ("Ball 2", 0.7)):
        tree = bpy.data.materials[name].node_tree
        next(node for node in tree.nodes if node.type == "BSDF_PRINCIPLED").inputs["Alpha"].default_value = alpha
    bpy.data.objects["Ball 0"].location = (0.5, -1.6, 0.8)
    return camera


def clipped() -> bpy.types.Object:
    """Clip planes through two balls, seen at a wide angle."""
    camera = stage()
    camera.data.lens, camera.location = 18.0, (0.3, -2.4, 1.2)
    build.aim(camera, (0.2, 0.0, 0.4))
    camera.data.clip_start, camera.data.clip_end = 1.9, 3.1
    return camera


def tinted_panes() -> bpy.types.Object:
    """Transparent shaders of colours, one mixed with a diffuse one."""
    camera = stage()
    for number, (name, share) in enumerate((("Red", None), ("Blue", 0.6))):
        material = build.add_material(name, base_color=(0.6, 0.6, 0.2), specular_level=0.0)
        tree = material.node_tree
        output = next(node for node in tree.nodes if node.type == "OUTPUT_MATERIAL")
        principled = next(node for node in tree.nodes if node.type == "BSDF_PRINCIPLED")
        transparent, mix = tree.nodes.new("ShaderNodeBsdfTransparent"), tree.nodes.new("ShaderNodeMixShader")
        transparent.inputs["Color"].default_value = ((0.9, 0.4, 0.3, 1), (0.3, 0.5, 0.9, 1))[number]
        surface = transparent.outputs[0]
        if share is not None:
            mix.inputs[0].default_value = share
            tree.links.new(principled.outputs[0], mix.inputs[1])
            tree.links.new(surface, mix.inputs[2])
            surface = mix.outputs[0]
        tree.links.new(surface, output.inputs["Surface"])
        pane = build.add_plane(name, material, 1.5, (0.8 * number - 0.2, -1.2 - 0.3 * number, 0.8))
        pane.rotation_euler = (np.pi / 2, 0.0, 0.2)
    return camera


def coarse_and_mirrored() -> bpy.types.Object:
    """Coarse smooth balls at the edge of light (shadow terminator): one as it is, a mirrored and an unevenly scaled
    instance of another with a shape key, degenerate faces among theirs."""
    camera = stage()
    for number in range(3):
        bpy.data.objects.remove(bpy.data.objects[f"Ball {number}"])
    material = build.add_material("Clay", base_color=(0.6, 0.5, 0.4), roughness=0.5)
    build.add_sphere("Coarse", material, 0.6, (-1.2, 0.0, 0.6), rows=5, columns=9)
    points, faces, corners = build.grid(build.sphere_points(0.6, rows=6, columns=8), closed=True)
    faces.extend([(0, 1, 2), (3, 3 + 1, len(points))])
    corners.extend([(0.0, 0.0)] * 6)
    points = np.concatenate([points, (points[3:4] + points[4:5]) / 2])  # on an edge: a triangle without area
    shaped = build.add_mesh("Shaped", [(points, faces, corners)], [material], location=(0.1, 0.4, 0.6))
    shaped.shape_key_add(name="Basis")
    key = shaped.shape_key_add(name="Lean")
    for place in key.data:
        place.co.x += 0.5 * place.co.z
    key.value = 1.0
    other = build.link(bpy.data.objects.new("Mirrored", shaped.data), (1.3, 0.2, 0.5))
    other.scale = (-0.8, 1.3, 0.7)
    return camera


SCENES: list[Callable[[], bpy.types.Object]] = [
    hidden_from_the_camera,
    hidden_from_shadow_rays,
    indirect_only_collection,
    holdout_collection,
    holdouts,
    holdout_between_blended_balls,
    clipped,
    tinted_panes,
    coarse_and_mirrored,
]
# Cycles passes surfaces at random, which leaves noise in alpha
SAMPLES = {holdout_between_blended_balls: 512}


@pytest.mark.parametrize("build_scene", SCENES)
def test_colour_and_alpha_are_those_of_cycles(build_scene: Callable[[], bpy.types.Object], tmp_path: Path) -> None:
    camera = build_scene()
    found = render(read_scene(bpy.context.scene), camera.name, SIZE, SIZE, samples=64, direct_only=True)
    size = {"width": SIZE, "height": SIZE}
    seen = render_cycles(
        bpy.context.scene, camera, tmp_path / "a.exr", **size, samples=SAMPLES.get(build_scene, 256), direct_only=True
    )
    assert psnr(found[..., :3], seen[..., :3]) >= EXACT
    # sixteen cells a pixel cut edges coarsely, which shows where alpha jumps from 0 to 1
    assert np.sqrt(np.mean((found[..., 3] - seen[..., 3]) ** 2)) < 10 ** (-NOISY / 20)


@pytest.mark.parametrize(("weight", "cosine"), [(1.0, 0.9), (1.0, 0.45), (0.5, 0.3)])
def test_subsurface_has_the_brightness_of_cycles(weight: float, cosine: float, tmp_path: Path) -> None:
    """Flat surfaces of colours and at angles to which no curve was fitted."""
    build.new_scene()
    material = build.add_material("Skin", base_color=(0.15, 0.4, 0.75), specular_level=0.0)
    principled = next(node for node in material.node_tree.nodes if node.type == "BSDF_PRINCIPLED")
    principled.inputs["Subsurface Weight"].default_value = weight
    principled.inputs["Subsurface Radius"].default_value = (1.0, 1.0, 1.0)
    principled.inputs["Subsurface Scale"].default_value = 0.005
    build.add_plane("Skin", material)
    build.set_world(bpy.context.scene, (1.0, 1.0, 1.0))
    place = (0.0, -3.0 * np.sqrt(1 - cosine**2), 3.0 * cosine)
    camera = build.add_camera("Camera", place, (0.0, 0.0, 0.0), lens=300.0)
    found = render(read_scene(bpy.context.scene), camera.name, 6, 6, samples=16)[..., :3].mean((0, 1))
    size = {"width": 6, "height": 6}
    seen = render_cycles(bpy.context.scene, camera, tmp_path / "a.exr", **size, samples=1024, direct_only=False)
    assert found == pytest.approx(seen[..., :3].mean((0, 1)), rel=0.03)  # 2.5 % and noise

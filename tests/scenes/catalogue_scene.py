# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenes that stress what lies around the shading: node trees, meshes and instances, film; see catalogue.py."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import bpy
import numpy as np

from . import build
from .catalogue import EXACT, LAYERS_EXACT, Case, daylight, dress, normal_pixels, stage


def blocks(seed: int, rows: int, columns: int, scale: int, low: float = 0.05, high: float = 0.8) -> np.ndarray:
    """Random colours in squares of ``scale`` texels [H, W, 3]."""
    return np.kron(np.random.default_rng(seed).uniform(low, high, (rows, columns, 3)), np.ones((scale, scale, 1)))


def _point(energy: float = 440.0, **more: Any) -> None:
    build.add_light("POINT", (1.8, -2.0, 3.6), energy=energy, **({"shadow_soft_size": 0.1} | more))


def _sun(energy: float = 2.5, angle: float = 0.03) -> None:
    build.add_light("SUN", (2.0, -1.5, 3.0), energy=energy, angle=angle)


def _principled(name: str) -> tuple[bpy.types.NodeTree, bpy.types.Node]:
    tree = bpy.data.materials[name].node_tree
    return tree, next(node for node in tree.nodes if node.type == "BSDF_PRINCIPLED")


def _surface(name: str, shader: bpy.types.NodeSocket) -> None:
    """Make ``shader`` the surface of a material."""
    tree = bpy.data.materials[name].node_tree
    tree.links.new(shader, next(node for node in tree.nodes if node.type == "OUTPUT_MATERIAL").inputs["Surface"])


def node_chain() -> bpy.types.Object:
    """An image in occlusion, roughness and metallic, a colour through ramp, hue, mix and curves."""
    camera = stage()
    tree, principled = _principled("Ball")
    colour, packed = tree.nodes.new("ShaderNodeTexImage"), tree.nodes.new("ShaderNodeTexImage")
    colour.image = build.add_image("Colour", build.encode_srgb(blocks(1, 8, 16, 8)), "sRGB")
    packed.image = build.add_image("Packed", blocks(2, 8, 16, 8, 0.1, 0.9), "Non-Color")
    hue, mix = tree.nodes.new("ShaderNodeHueSaturation"), tree.nodes.new("ShaderNodeMix")
    hue.inputs["Hue"].default_value, hue.inputs["Saturation"].default_value = 0.6, 1.3
    mix.data_type, mix.blend_type = "RGBA", "MULTIPLY"
    separate, ramp = tree.nodes.new("ShaderNodeSeparateColor"), tree.nodes.new("ShaderNodeValToRGB")
    maths = tree.nodes.new("ShaderNodeMath")
    maths.operation, maths.inputs[1].default_value, maths.inputs[2].default_value = "MULTIPLY_ADD", 0.6, 0.25
    ramp.color_ramp.elements[0].color, ramp.color_ramp.elements[1].color = (1, 0.8, 0.5, 1), (0.3, 0.5, 1, 1)
    colours = {socket.identifier: socket for socket in mix.inputs}
    links = [
        (colour.outputs["Color"], hue.inputs["Color"]),
        (hue.outputs["Color"], colours["A_Color"]),
        (packed.outputs["Color"], separate.inputs["Color"]),
        (separate.outputs["Red"], ramp.inputs["Fac"]),
        (ramp.outputs["Color"], colours["B_Color"]),
        (next(s for s in mix.outputs if s.identifier == "Result_Color"), principled.inputs["Base Color"]),
        (separate.outputs["Green"], maths.inputs[0]),
        (maths.outputs["Value"], principled.inputs["Roughness"]),
        (separate.outputs["Blue"], principled.inputs["Metallic"]),
    ]
    colours["Factor_Float"].default_value = 0.8
    for start, end in links:
        tree.links.new(start, end)
    _point()
    return camera


def procedural() -> bpy.types.Object:
    """Procedural textures that Cycles bakes: noise in the colour of the ball, a checker on the plane."""
    camera = stage()
    tree, principled = _principled("Ball")
    noise, ramp = tree.nodes.new("ShaderNodeTexNoise"), tree.nodes.new("ShaderNodeValToRGB")
    noise.inputs["Scale"].default_value = 3.0
    tree.links.new(tree.nodes.new("ShaderNodeTexCoord").outputs["Generated"], noise.inputs["Vector"])
    ramp.color_ramp.elements[0].color, ramp.color_ramp.elements[1].color = (0.05, 0.1, 0.3, 1), (0.8, 0.6, 0.3, 1)
    tree.links.new(noise.outputs["Fac"], ramp.inputs["Fac"])
    tree.links.new(ramp.outputs["Color"], principled.inputs["Base Color"])
    tree, principled = _principled("Plane")
    waves = tree.nodes.new("ShaderNodeTexWave")
    waves.inputs["Scale"].default_value = 0.4
    tree.links.new(tree.nodes.new("ShaderNodeTexCoord").outputs["Object"], waves.inputs["Vector"])
    tree.links.new(waves.outputs["Color"], principled.inputs["Base Color"])
    _point(shadow_soft_size=0.0)
    return camera


def mixture() -> bpy.types.Object:
    """Shaders that do not reflect, mixed by an image: exact as one Principled."""
    camera = stage()
    tree, _ = _principled("Ball")
    mix, image = tree.nodes.new("ShaderNodeMixShader"), tree.nodes.new("ShaderNodeTexImage")
    image.image = build.add_image("Factor", blocks(3, 4, 8, 8, 0.0, 1.0)[..., :1], "Non-Color")
    tree.links.new(image.outputs["Color"], mix.inputs[0])
    for slot, rgb in ((1, (0.7, 0.2, 0.1)), (2, (0.1, 0.3, 0.7))):
        diffuse = tree.nodes.new("ShaderNodeBsdfDiffuse")
        diffuse.inputs["Color"].default_value, diffuse.inputs["Roughness"].default_value = (*rgb, 1.0), 0.0
        tree.links.new(diffuse.outputs[0], mix.inputs[slot])
    _surface("Ball", mix.outputs[0])
    _sun(angle=0.05)
    return camera


def plain_shaders() -> bpy.types.Object:
    """Balls of a Diffuse, a Glossy and an Emission shader added to a Diffuse."""
    camera = stage()
    bpy.data.objects.remove(bpy.data.objects["Ball"])
    for number in range(3):
        name = f"Ball {number}"
        build.add_sphere(name, build.add_material(name), 0.6, (1.3 * (number - 1), 0.2 * number, 0.6))
        tree = bpy.data.materials[name].node_tree
        kind = "ShaderNodeBsdfAnisotropic" if number == 1 else "ShaderNodeBsdfDiffuse"
        shader = tree.nodes.new(kind)
        shader.inputs["Color"].default_value = ((0.2, 0.5, 0.7, 1), (0.9, 0.7, 0.4, 1), (0.3, 0.3, 0.1, 1))[number]
        shader.inputs["Roughness"].default_value = 0.35 if number == 1 else 0.0
        end = shader.outputs[0]
        if number == 2:
            emission, total = tree.nodes.new("ShaderNodeEmission"), tree.nodes.new("ShaderNodeAddShader")
            emission.inputs["Color"].default_value = (0.1, 0.4, 0.15, 1.0)
            tree.links.new(end, total.inputs[0])
            tree.links.new(emission.outputs[0], total.inputs[1])
            end = total.outputs[0]
        _surface(name, end)
    _point(shadow_soft_size=0.05)
    return camera


def flat_and_coarse() -> bpy.types.Object:
    """Coarse balls, flat and smooth (whose terminators Cycles moves), and a can with smooth sides and sharp rims."""
    camera = stage()
    bpy.data.objects.remove(bpy.data.objects["Ball"])
    paint = build.add_material("Paint", base_color=(0.6, 0.4, 0.15), roughness=0.35)
    for number, smooth in enumerate((False, True)):
        points = build.sphere_points(0.6, rows=9, columns=14)
        build.add_mesh(f"Ball {number}", [build.grid(points, closed=True)], [paint], smooth=smooth,
                       location=(1.4 * number - 1.3, 0.1, 0.6))  # fmt: skip
    profile = np.array([(0.0, 0.0), (0.4, 0.0), (0.4, 0.0), (0.4, 1.0), (0.4, 1.0), (0.0, 1.0)])
    sides = [build.grid(build.lathe_points(profile[i : i + 2], 24), closed=True) for i in (0, 2, 4)]
    build.add_mesh("Can", sides, [paint], location=(1.4, -0.5, 0.0))
    build.add_light("POINT", (2.6, -0.6, 2.2), energy=230.0, shadow_soft_size=0.0)
    return camera


def mirrored() -> bpy.types.Object:
    """A normal-mapped ball, mirrored and stretched ones, one that shares its mesh with it and one that does not."""
    camera = stage()
    image = build.add_image("Normal", normal_pixels(waves=6, slope=0.7), "Non-Color")
    dress("Ball", normal=image, base_color=(0.6, 0.3, 0.1), roughness=0.35)
    ball = bpy.data.objects["Ball"]
    ball.scale, ball.location = (0.6, 0.6, 0.6), (0.0, 0.4, 0.6)
    for number, scale in enumerate(((-0.6, 0.4, 0.7), (0.5, -0.8, -0.4))):
        mesh = ball.data.copy() if number else ball.data
        other = build.link(bpy.data.objects.new(f"Mirrored {number}", mesh), (2.6 * number - 1.3, 0.0, 0.6))
        other.scale = scale
        other.rotation_euler = (0.2, 0.4, 0.3 * number)
    _point()
    return camera


def modified() -> bpy.types.Object:
    """A cube that a subdivision rounds, and a column that an armature bends, both evaluated as for a render."""
    camera = stage()
    bpy.data.objects.remove(bpy.data.objects["Ball"])
    paint = build.add_material("Paint", base_color=(0.2, 0.4, 0.6), roughness=0.3)
    corners = [(x, y, z) for x in (-0.6, 0.6) for y in (-0.6, 0.6) for z in (0.0, 1.2)]
    faces = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    mesh = bpy.data.meshes.new("Cube")
    mesh.from_pydata(corners, [], faces)
    mesh.polygons.foreach_set("use_smooth", np.ones(6, bool))
    mesh.materials.append(paint)
    cube = build.link(bpy.data.objects.new("Cube", mesh), (-0.9, 0.0, 0.0))
    levels = cube.modifiers.new("Subdivision", "SUBSURF")
    levels.levels, levels.render_levels = 1, 3
    profile = np.stack([np.full(17, 0.3), np.linspace(0.0, 1.6, 17)], axis=-1)
    column = build.add_mesh("Column", [build.grid(build.lathe_points(profile, 32), closed=True)], [paint])
    armature = build.link(bpy.data.objects.new("Rig", bpy.data.armatures.new("Rig")), (0.0, 0.0, 0.0))
    bpy.context.view_layer.objects.active = armature
    bpy.ops.object.mode_set(mode="EDIT")
    bones = [armature.data.edit_bones.new(name) for name in ("Lower", "Upper")]
    for bone, low in zip(bones, (0.0, 0.8), strict=True):
        bone.head, bone.tail = (0, 0, low), (0, 0, low + 0.8)
    bones[1].parent = bones[0]
    bpy.ops.object.mode_set(mode="OBJECT")
    upper = column.vertex_groups.new(name="Upper")
    lower = column.vertex_groups.new(name="Lower")
    for vertex in column.data.vertices:
        share = float(np.clip((vertex.co.z - 0.4) / 0.8, 0, 1))
        upper.add([vertex.index], share, "REPLACE")
        lower.add([vertex.index], 1 - share, "REPLACE")
    column.modifiers.new("Armature", "ARMATURE").object = armature
    column.location = armature.location = (0.9, 0.2, 0.0)
    armature.pose.bones["Upper"].rotation_mode = "XYZ"
    armature.pose.bones["Upper"].rotation_euler = (0.5, 0.0, 0.7)
    _sun(angle=0.05)
    return camera


def two_uv_maps() -> bpy.types.Object:
    """A second UV map by name, nearest texels, and images that end at their edge or are held there."""
    camera = stage()
    colour = build.add_image("Colour", build.encode_srgb(blocks(4, 8, 8, 4)), "sRGB")
    mesh = bpy.data.objects["Ball"].data
    first = np.empty(2 * len(mesh.loops), np.float32)
    mesh.uv_layers[0].data.foreach_get("uv", first)
    mesh.uv_layers.new(name="Second").data.foreach_set("uv", (first.reshape(-1, 2) @ [[3, 1], [-1, 2]]).ravel())
    tree, principled = _principled("Ball")
    texture, uv = tree.nodes.new("ShaderNodeTexImage"), tree.nodes.new("ShaderNodeUVMap")
    texture.image, texture.interpolation, uv.uv_map = colour, "Closest", "Second"
    tree.links.new(uv.outputs["UV"], texture.inputs["Vector"])
    tree.links.new(texture.outputs["Color"], principled.inputs["Base Color"])
    placed = {"Scale": (4.0, 4.0, 1.0), "Location": (-1.5, -1.5, 0.0)}
    dress("Plane", maps={"base_color": colour}, extension="EXTEND", mapping=placed)
    _point(shadow_soft_size=0.0)
    return camera


def textured_emission() -> bpy.types.Object:
    """A ball that glows by an image and lights nothing but the camera, beside a sun."""
    camera = stage()
    image = build.add_image("Glow", build.encode_srgb(blocks(5, 6, 12, 8, 0.0, 1.0) ** 3), "sRGB")
    dress("Ball", base_color=(0.05, 0.05, 0.05), maps={"emission_color": image}, emission_strength=0.7)
    _sun(1.5)
    return camera


def several_lights() -> bpy.types.Object:
    """A coloured light of each kind."""
    camera = stage()
    build.add_light("POINT", (1.8, -2.0, 2.6), energy=90.0, color=(1.0, 0.5, 0.2), shadow_soft_size=0.2)
    build.add_light("SUN", (-2.0, -1.5, 3.0), energy=0.5, color=(0.6, 0.7, 1.0), angle=0.1)
    spot = {"energy": 300.0, "spot_size": 0.7, "spot_blend": 0.4, "shadow_soft_size": 0.05, "color": (0.3, 1.0, 0.4)}
    build.add_light("SPOT", (0.0, -3.0, 3.5), (0.5, 0.0, 0.0), **spot)
    build.add_light("AREA", (-2.2, 0.6, 2.4), energy=60.0, color=(1.0, 0.3, 0.8), shape="SQUARE", size=0.8)
    return camera


def coloured_world_and_light() -> bpy.types.Object:
    camera = stage(base_color=(0.7, 0.7, 0.7), roughness=0.25)
    _point(250.0, color=(1.0, 0.8, 0.5))
    build.set_world(bpy.context.scene, (0.25, 0.4, 0.9), strength=0.6)
    return camera


def visibility() -> bpy.types.Object:
    """Objects without shadow, a light without, and lights for diffuse or for glossy reflection alone."""
    camera = stage(base_color=(0.6, 0.5, 0.3), roughness=0.3)
    _point(260.0, shadow_soft_size=0.0)
    for number, flag in enumerate(("visible_diffuse", "visible_glossy")):
        settings = {"energy": 120.0, "shadow_soft_size": 0.0, "color": ((1.0, 0.4, 0.3), (0.3, 0.5, 1.0))[number]}
        light = build.add_light("POINT", (3.0 * number - 2.0, -2.4, 2.4), name=f"Point {number}", **settings)
        setattr(light, flag, False)
    unshadowed = build.add_light("POINT", (-1.0, 2.0, 2.6), name="Unshadowed", energy=80.0, shadow_soft_size=0.0)
    unshadowed.data.use_shadow = False
    return camera


def single_scatter() -> bpy.types.Object:
    """The distribution GGX, which loses energy, on metal and paint."""
    camera = stage()
    bpy.data.objects.remove(bpy.data.objects["Ball"])
    for number, metallic in enumerate((1.0, 0.0)):
        look: dict[str, Any] = {"base_color": (0.9, 0.7, 0.4), "metallic": metallic, "roughness": 0.7}
        material = build.add_material(f"Ball {number}", distribution="GGX", **look)
        build.add_sphere(f"Ball {number}", material, 0.7, (1.6 * number - 0.8, 0.0, 0.7))
    _point()
    return camera


def film(**settings: Any) -> bpy.types.Object:
    """Edges and a small pattern under another pixel filter, with film exposure."""
    camera = stage()
    dress("Plane", maps={"base_color": build.add_image("Colour", build.encode_srgb(blocks(6, 32, 32, 4)), "sRGB")})
    _point(320.0, shadow_soft_size=0.0)
    cycles = bpy.context.scene.cycles
    cycles.film_exposure = 1.3
    for key, value in settings.items():
        setattr(cycles, key, value)
    return camera


def sensor() -> bpy.types.Object:
    """Vertical sensor fit, a shift, pixels that are not square."""
    camera = stage()
    camera.data.sensor_fit, camera.data.sensor_height, camera.data.lens = "VERTICAL", 30.0, 40.0
    camera.data.shift_x = -0.1
    bpy.context.scene.render.pixel_aspect_x = 1.4
    _sun()
    return camera


def sky_and_metal() -> bpy.types.Object:
    """A polished and a rough metal ball under an environment image."""
    camera = stage()
    bpy.data.objects.remove(bpy.data.objects["Ball"])
    for number, roughness in enumerate((0.1, 0.45)):
        material = build.add_material(f"Ball {number}", base_color=(0.9, 0.8, 0.7), metallic=1.0, roughness=roughness)
        build.add_sphere(f"Ball {number}", material, 0.7, (1.6 * number - 0.8, 0.0, 0.7))
    image = build.add_image("Daylight", build.environment_pixels(daylight), "Linear Rec.709", is_float=True)
    build.set_world(bpy.context.scene, strength=0.8, image=image, rotation=(0.0, 0.0, -0.8))
    return camera


def _case(builder: Callable[[], bpy.types.Object], floor: float = LAYERS_EXACT, aspect: float = 1.0) -> Case:
    return Case(builder, floor, aspect=aspect)


SCENE: dict[str, Case] = {
    "node_chain": _case(node_chain),
    "procedural": _case(procedural),
    "mixture": _case(mixture),
    "plain_shaders": _case(plain_shaders),
    "flat_and_coarse": _case(flat_and_coarse),
    "mirrored": _case(mirrored),
    "modified": _case(modified),
    "two_uv_maps": _case(two_uv_maps),
    "textured_emission": _case(textured_emission),
    "several_lights": _case(several_lights, EXACT),
    "coloured_world_and_light": _case(coloured_world_and_light, EXACT),
    "visibility": _case(visibility),
    "single_scatter": _case(single_scatter),
    "film_box": _case(partial(film, pixel_filter_type="BOX")),
    "film_gaussian": _case(partial(film, pixel_filter_type="GAUSSIAN", filter_width=2.0)),
    "sensor": _case(sensor, aspect=0.75),
    "sky_and_metal": _case(sky_and_metal, EXACT),
}
"""Compared without indirect light."""

TESTED = {name: SCENE[name] for name in ("node_chain", "mirrored")}
"""Of these the tests have a stored picture by Cycles."""

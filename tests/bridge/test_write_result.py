# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing a fit, saving, loading: what Cycles shows then is what the result holds, and artists' nodes survive."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
import pytest

from likeness.bridge.open_save import open_blend, save_blend
from likeness.bridge.photo_list import add_photo, settings
from likeness.bridge.read_scene import read_scene
from likeness.bridge.write_image import image_name
from likeness.bridge.write_result import write_result
from likeness.engine.errors import SceneError
from likeness.engine.result import FitResult, FittedImage, FittedLight, FittedWorld, PhotoResult
from tests.bridge.probe import (
    add_square,
    decode_srgb,
    emission_material,
    look_up,
    new_material,
    pixel_positions,
    shoot,
    top_camera,
)
from tests.bridge.test_read_world import (
    SIZE,
    new_world,
    smooth_panorama,
    view_directions,
    wide_camera,
)

pytestmark = pytest.mark.usefixtures("empty_file")
RNG = np.random.default_rng(2)
GREY8 = (np.round(RNG.random((8, 8, 1)) * 255) / 255).astype(np.float32)
COLOUR8 = (np.round(RNG.random((8, 8, 3)) * 255) / 255).astype(np.float32)
GREY16 = (np.round(RNG.random((8, 8, 1)) * 65535) / 65535).astype(np.float32)
COLOUR16 = (np.round(RNG.random((8, 8, 3)) * 65535) / 65535).astype(np.float32)
HDR = (RNG.random((8, 8, 3)) ** 5 * 1000).astype(np.float32)
SOCKETS = {
    "base_color": ("Base Color", COLOUR8, "sRGB", 8),
    "roughness": ("Roughness", GREY8, "linear", 8),
    "metallic": ("Metallic", GREY16, "linear", 16),
    "normal": ("Normal", COLOUR16, "linear", 16),
    "emission": ("Emission Color", HDR, "linear", 32),
}


def _principled(material: bpy.types.Material) -> bpy.types.Node:
    return next(node for node in material.node_tree.nodes if node.bl_idname == "ShaderNodeBsdfPrincipled")


def _textures(material: bpy.types.Material) -> list[bpy.types.Node]:
    return [node for node in material.node_tree.nodes if node.bl_idname == "ShaderNodeTexImage"]


def _all_images(material: str) -> list[FittedImage]:
    return [
        FittedImage(material, socket, pixels, encoding, bits) for socket, (_, pixels, encoding, bits) in SOCKETS.items()
    ]


def _stored(pixels: np.ndarray) -> np.ndarray:
    return np.broadcast_to(pixels, (*pixels.shape[:2], 3))


def test_what_is_written_is_read_again_after_saving_and_loading(tmp_path: Path) -> None:
    add_square(new_material("Größe Gold"))
    light = bpy.data.lights.new("Lampe", "POINT")
    bpy.context.scene.collection.objects.link(bpy.data.objects.new("Lampe", light))
    result = FitResult(
        images=_all_images("Größe Gold"),
        lights=[FittedLight("Lampe", 42.5, np.array([1.0, 0.5, 0.25]))],
        world=FittedWorld(0.75, np.zeros(3), HDR),
        exposure=-0.5,
        coverage={"Größe Gold": GREY8[..., 0]},
    )
    summary = write_result(bpy.context.scene, result)
    assert "Größe Gold base color" in summary.images
    save_blend(tmp_path / "fertig.blend")
    read = read_scene(open_blend(tmp_path / "fertig.blend"))

    material = read.materials["Größe Gold"]
    sockets = {
        "base_color": material.base_color.texture,
        "roughness": material.roughness.texture,
        "metallic": material.metallic.texture,
        "normal": material.normal.texture if material.normal else None,
        "emission": material.emission_color.texture,
    }
    for name, (_, pixels, encoding, _bits) in SOCKETS.items():
        image = read.images[sockets[name].image]
        assert image.encoding == encoding
        np.testing.assert_allclose(image.pixels[..., :3], _stored(pixels), rtol=1e-6, atol=1e-7, err_msg=name)
    assert material.emission_strength.value[0] == 1
    assert (read.lights[0].energy, read.lights[0].color.tolist()) == (42.5, [1, 0.5, 0.25])
    assert read.world.strength == 0.75
    np.testing.assert_array_equal(read.images[read.world.image].pixels[..., :3], HDR)
    assert read.view.exposure == -0.5
    assert "Größe Gold coverage" in bpy.data.images
    assert all(image.packed_file is not None for image in bpy.data.images if image.name.startswith("Größe Gold"))


@pytest.mark.parametrize("socket", ["base_color", "roughness", "metallic", "normal", "emission"])
def test_cycles_shows_the_pixels_after_saving_and_loading(socket: str, tmp_path: Path) -> None:
    target = new_material("Ziel")
    target.use_fake_user = True
    add_square(emission_material()[0])
    top_camera()
    write_result(bpy.context.scene, FitResult(images=_all_images("Ziel")))
    save_blend(tmp_path / "a.blend")
    open_blend(tmp_path / "a.blend")

    name = f"Ziel {socket.replace('_', ' ')}"
    probe = bpy.data.materials["Probe"]
    texture = probe.node_tree.nodes.new("ShaderNodeTexImage")
    texture.image, texture.interpolation = bpy.data.images[name], "Closest"
    emission = next(node for node in probe.node_tree.nodes if node.bl_idname == "ShaderNodeEmission")
    probe.node_tree.links.new(texture.outputs["Color"], emission.inputs["Color"])
    seen = shoot(bpy.data.objects["Top"], tmp_path, 8)
    _, pixels, encoding, _bits = SOCKETS[socket]
    expected = decode_srgb(_stored(pixels)) if encoding == "sRGB" else _stored(pixels)
    np.testing.assert_allclose(seen, expected, rtol=1e-5, atol=1e-6)


def test_8_bit_images_round_to_the_nearest(tmp_path: Path) -> None:
    add_square(new_material("Ziel"))
    values = np.array([0.0, 0.49, 0.51, 99.49, 99.51, 254.6, 300.0, -3.0], np.float32) / 255
    pixels = np.broadcast_to(values[:, None, None], (8, 8, 3))
    write_result(bpy.context.scene, FitResult(images=[FittedImage("Ziel", "base_color", pixels, "sRGB", 8)]))
    image = read_scene(bpy.context.scene).images["Ziel base color"]
    np.testing.assert_allclose(image.pixels[:, 0, 0] * 255, [0, 0, 1, 99, 100, 255, 255, 0], atol=1e-4)


def _with_mapping(material: bpy.types.Material, socket: str) -> bpy.types.Node:
    tree = material.node_tree
    texture, mapping = tree.nodes.new("ShaderNodeTexImage"), tree.nodes.new("ShaderNodeMapping")
    coordinates = tree.nodes.new("ShaderNodeTexCoord")
    texture.image = bpy.data.images.new("Original", 4, 4)
    texture.image.pack()
    mapping.inputs["Scale"].default_value = (2, 3, 1)
    mapping.inputs["Rotation"].default_value = (0, 0, 0.4)
    tree.links.new(coordinates.outputs["UV"], mapping.inputs["Vector"])
    tree.links.new(mapping.outputs["Vector"], texture.inputs["Vector"])
    tree.links.new(texture.outputs["Color"], _principled(material).inputs[socket])
    return texture


def test_an_own_texture_node_keeps_its_mapping_and_the_old_image_stays() -> None:
    material = new_material("Gold")
    add_square(material)
    texture = _with_mapping(material, "Base Color")
    texture.extension = "EXTEND"
    before = read_scene(bpy.context.scene).materials["Gold"].base_color.texture
    nodes = len(material.node_tree.nodes)
    write_result(bpy.context.scene, FitResult(images=[FittedImage("Gold", "base_color", COLOUR8, "sRGB", 8)]))
    after = read_scene(bpy.context.scene).materials["Gold"].base_color.texture
    assert len(material.node_tree.nodes) == nodes
    assert texture.image.name == "Gold base color"
    assert after.image == "Gold base color"
    np.testing.assert_array_equal(after.uv_matrix, before.uv_matrix)
    assert after.extension == "EXTEND"
    assert tuple(bpy.data.images["Original"].pixels[:4]) == (0, 0, 0, 1)


def test_a_shared_texture_node_is_left_to_the_others() -> None:
    material = new_material("ORM")
    add_square(material)
    texture = _with_mapping(material, "Base Color")
    tree, shader = material.node_tree, _principled(material)
    separate = tree.nodes.new("ShaderNodeSeparateColor")
    tree.links.new(texture.outputs["Color"], separate.inputs[0])
    tree.links.new(separate.outputs["Green"], shader.inputs["Roughness"])
    before = read_scene(bpy.context.scene).materials["ORM"]
    write_result(bpy.context.scene, FitResult(images=[FittedImage("ORM", "roughness", GREY8, "linear", 8)]))
    after = read_scene(bpy.context.scene).materials["ORM"]
    assert after.base_color.texture.image == "Original"
    assert after.roughness.texture.image == "ORM roughness"
    assert after.roughness.texture.channel is None
    np.testing.assert_array_equal(after.roughness.texture.uv_matrix, before.roughness.texture.uv_matrix)
    write_result(bpy.context.scene, FitResult(images=[FittedImage("ORM", "base_color", COLOUR8, "sRGB", 8)]))
    assert read_scene(bpy.context.scene).materials["ORM"].base_color.texture.image == "ORM base color"


def test_fitting_twice_makes_new_images_and_no_new_nodes() -> None:
    material = new_material("Zweimal")
    add_square(material)
    write_result(bpy.context.scene, FitResult(images=_all_images("Zweimal")))
    nodes = {node.name for node in material.node_tree.nodes}
    write_result(bpy.context.scene, FitResult(images=_all_images("Zweimal")))
    assert {node.name for node in material.node_tree.nodes} == nodes
    assert {node.image.name for node in _textures(material)} == {
        f"Zweimal {socket.replace('_', ' ')} 2" for socket in SOCKETS
    }
    assert "Zweimal base color" not in bpy.data.images, "nothing used the image of the first fit any more"


def test_new_nodes_do_not_lie_on_others() -> None:
    material = new_material("Ordnung")
    add_square(material)
    _with_mapping(material, "Base Color")
    old = {node.name: node.location.copy() for node in material.node_tree.nodes}
    write_result(bpy.context.scene, FitResult(images=_all_images("Ordnung")))
    places = [tuple(node.location) for node in material.node_tree.nodes if node.name not in old]
    assert len(places) == 5
    for i, one in enumerate(places):
        for other in places[:i] + [tuple(location) for location in old.values()]:
            assert abs(one[0] - other[0]) >= 240 or abs(one[1] - other[1]) >= 280


def test_a_bump_and_an_unsupported_node_are_bypassed_and_named() -> None:
    material = new_material("Beule")
    add_square(material)
    tree, shader = material.node_tree, _principled(material)
    bump, noise = tree.nodes.new("ShaderNodeBump"), tree.nodes.new("ShaderNodeTexNoise")
    tree.links.new(bump.outputs[0], shader.inputs["Normal"])
    tree.links.new(noise.outputs[0], shader.inputs["Roughness"])
    images = [
        FittedImage("Beule", "normal", COLOUR16, "linear", 16),
        FittedImage("Beule", "roughness", GREY8, "linear", 8),
    ]
    summary = write_result(bpy.context.scene, FitResult(images=images))
    assert {note.datablock for note in summary.notes} == {'Material "Beule"'}
    assert len(summary.notes) == 2
    assert [note for note in read_scene(bpy.context.scene).notes if note.datablock == 'Material "Beule"'] == []


@pytest.mark.parametrize(
    "kind", ["POINT", "TEXTURE", "scaled", "unsupported coordinate", "no mapping", "sky", "light path"]
)
def test_environment_pixels_are_in_the_lookup_frame(kind: str, tmp_path: Path) -> None:
    """Cycles shows the fitted panorama where the engine put it: at World.rotation times the world direction."""
    world, texture = new_world(np.zeros((4, 8, 3)))
    tree = world.node_tree
    background = next(node for node in tree.nodes if node.bl_idname == "ShaderNodeBackground")
    if kind == "sky":
        tree.links.new(tree.nodes.new("ShaderNodeTexSky").outputs[0], background.inputs["Color"])
    if kind == "light path":
        mix, path = tree.nodes.new("ShaderNodeMixShader"), tree.nodes.new("ShaderNodeLightPath")
        tree.links.new(path.outputs["Is Camera Ray"], mix.inputs[0])
        tree.links.new(background.outputs[0], mix.inputs[1])
        output = next(node for node in tree.nodes if node.bl_idname == "ShaderNodeOutputWorld")
        tree.links.new(mix.outputs[0], output.inputs["Surface"])
    if kind != "no mapping":
        coordinates, mapping = tree.nodes.new("ShaderNodeTexCoord"), tree.nodes.new("ShaderNodeMapping")
        mapping.vector_type = kind if kind in {"POINT", "TEXTURE"} else "POINT"
        mapping.inputs["Rotation"].default_value = (0.4, -0.7, 2.1)
        if kind == "scaled":
            mapping.inputs["Scale"].default_value = (1.0, -1.5, 0.6)
            mapping.inputs["Location"].default_value = (0.3, 0.0, 0.2)
        output = "Window" if kind == "unsupported coordinate" else "Generated"
        tree.links.new(coordinates.outputs[output], mapping.inputs["Vector"])
        tree.links.new(mapping.outputs["Vector"], texture.inputs["Vector"])
    rotation = read_scene(bpy.context.scene).world.rotation
    panorama = smooth_panorama()
    write_result(bpy.context.scene, FitResult(world=FittedWorld(1.0, np.zeros(3), panorama.astype(np.float32))))
    camera = wide_camera()
    seen = shoot(camera, tmp_path, SIZE)
    looked_up = view_directions(camera) @ rotation.T
    inside = np.abs(looked_up[..., 2]) < np.cos(np.pi / 64)
    np.testing.assert_allclose(seen[inside], (looked_up * 0.5 + 0.5)[inside], atol=5e-3)
    np.testing.assert_allclose(read_scene(bpy.context.scene).world.rotation, rotation, atol=1e-5)


def test_a_world_is_made_or_turned_into_a_colour() -> None:
    scene = bpy.context.scene
    assert scene.world is None
    write_result(scene, FitResult(world=FittedWorld(2.0, np.array([0.1, 0.2, 0.3]))))
    read = read_scene(scene).world
    np.testing.assert_allclose(read.color * read.strength, (0.2, 0.4, 0.6), rtol=1e-6)
    new_world(HDR)
    sky = scene.world.node_tree.nodes.new("ShaderNodeTexSky")
    background = next(node for node in scene.world.node_tree.nodes if node.bl_idname == "ShaderNodeBackground")
    scene.world.node_tree.links.new(sky.outputs[0], background.inputs["Color"])
    write_result(scene, FitResult(world=FittedWorld(1.0, np.zeros(3), HDR)))
    assert read_scene(scene).world.image == "Himmel environment"


@pytest.mark.parametrize("kind", ["image", "unknown nodes"])
def test_a_fitted_strength_keeps_the_picture_of_the_world(kind: str, tmp_path: Path) -> None:
    world, texture = new_world(smooth_panorama())
    tree = world.node_tree
    background = next(node for node in tree.nodes if node.bl_idname == "ShaderNodeBackground")
    if kind == "unknown nodes":
        gamma = tree.nodes.new("ShaderNodeGamma")
        gamma.inputs["Gamma"].default_value = 2.0
        tree.links.new(texture.outputs["Color"], gamma.inputs["Color"])
        tree.links.new(gamma.outputs["Color"], background.inputs["Color"])
    camera = wide_camera()
    before = shoot(camera, tmp_path, SIZE)
    start = read_scene(bpy.context.scene).world
    write_result(bpy.context.scene, FitResult(world=FittedWorld(start.strength * 3, start.color)))
    np.testing.assert_allclose(shoot(camera, tmp_path, SIZE), before * 3, atol=0.02)
    after = read_scene(bpy.context.scene).world
    assert after.strength == pytest.approx(start.strength * 3)
    assert after.image is not None


def test_photos_get_their_exposure_and_white_balance(tmp_path: Path) -> None:
    top_camera()
    add_photo(bpy.context.scene, "Top", str(tmp_path / "ein Foto.jpg"))
    picture = np.zeros((1, 1, 3))
    fitted = PhotoResult("ein Foto", "Top", 0.75, np.array([1.2, 1.0, 0.8]), picture, picture, picture, None, 1, 2)
    summary = write_result(bpy.context.scene, FitResult(photos=[fitted]))
    (item,) = settings(bpy.context.scene).photos
    assert summary.photos == ["ein Foto"]
    assert item.exposure == 0.75
    np.testing.assert_allclose(item.white_balance, (1.2, 1.0, 0.8), rtol=1e-6)


def _snapshot() -> object:
    def sockets(tree: bpy.types.NodeTree) -> list[tuple[str, str]]:
        return sorted((link.from_node.name, link.to_socket.name) for link in tree.links)

    return (
        sorted(image.name for image in bpy.data.images),
        [(sorted(node.name for node in m.node_tree.nodes), sockets(m.node_tree)) for m in bpy.data.materials],
        [(light.energy, tuple(light.color)) for light in bpy.data.lights],
        bpy.context.scene.view_settings.exposure,
        bpy.context.scene.world,
    )


@pytest.mark.parametrize(
    "broken",
    [
        {"images": [FittedImage("Fehlt", "base_color", COLOUR8, "sRGB", 8)]},
        {"images": [FittedImage("Ohne Principled", "base_color", COLOUR8, "sRGB", 8)]},
        {"images": [FittedImage("Gold", "base_color", COLOUR8 * np.nan, "sRGB", 8)]},
        {"images": [FittedImage("Gold", "base_color", COLOUR8[0], "sRGB", 8)]},
        {"images": [FittedImage("Gold", "subsurface", COLOUR8, "sRGB", 8)]},
        {"lights": [FittedLight("Lampe", 1.0, np.ones(3)), FittedLight("Fehlt", 1.0, np.ones(3))]},
        {"world": FittedWorld(float("inf"), np.zeros(3))},
    ],
    ids=["material gone", "no Principled", "NaN", "shape", "socket", "light gone", "infinite world"],
)
def test_an_error_leaves_the_file_as_it_was(broken: dict[str, object]) -> None:
    add_square(new_material("Gold"))
    emission_material("Ohne Principled")
    bpy.data.lights.new("Lampe", "POINT")
    values: dict[str, object] = {
        "images": [FittedImage("Gold", "roughness", GREY8, "linear", 8)],
        "lights": [FittedLight("Lampe", 77.0, np.ones(3))],
        "exposure": 3.0,
    }
    for key, value in broken.items():
        values[key] = [*values[key], *value] if isinstance(value, list) else value
    before = _snapshot()
    with pytest.raises(SceneError):
        write_result(bpy.context.scene, FitResult(**values))
    assert _snapshot() == before


def test_linked_materials_are_refused(tmp_path: Path) -> None:
    new_material("Gelinkt").use_fake_user = True
    save_blend(tmp_path / "library.blend")
    bpy.ops.wm.read_factory_settings(use_empty=True)
    with bpy.data.libraries.load(str(tmp_path / "library.blend"), link=True) as (_, wanted):
        wanted.materials = ["Gelinkt"]
    add_square(bpy.data.materials["Gelinkt"])
    (material,) = read_scene(bpy.context.scene).materials.values()
    assert not material.editable
    with pytest.raises(SceneError, match="linked from another file"):
        write_result(
            bpy.context.scene, FitResult(images=[FittedImage(material.name, "base_color", COLOUR8, "sRGB", 8)])
        )


def test_long_names_are_cut_between_characters() -> None:
    name = image_name("Ö" * 60, "base_color")
    assert len(name.encode()) <= 59
    assert name.endswith("Ö base color")


def test_lookup_of_a_written_texture_equals_cycles_between_texels(tmp_path: Path) -> None:
    """The engine interpolates what was written as Cycles does: 8-bit sRGB encoded, 16 bits and float linear."""
    material = new_material("Ziel")
    square = add_square(material)
    write_result(bpy.context.scene, FitResult(images=_all_images("Ziel")))
    save_blend(tmp_path / "a.blend")
    open_blend(tmp_path / "a.blend")
    read = read_scene(bpy.context.scene)
    texture = read.materials["Ziel"].base_color.texture
    expected = look_up(read.images[texture.image], texture, pixel_positions(24).reshape(-1, 2) / 2 + 0.5)
    probe, socket = emission_material()
    node = probe.node_tree.nodes.new("ShaderNodeTexImage")
    node.image = bpy.data.images[texture.image]
    probe.node_tree.links.new(node.outputs["Color"], socket)
    square = bpy.data.objects["Square"]
    square.data.materials[0] = probe
    np.testing.assert_allclose(shoot(top_camera(), tmp_path, 24).reshape(-1, 3), expected, atol=2e-5)

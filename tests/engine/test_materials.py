# SPDX-License-Identifier: GPL-3.0-or-later
"""Material parameters of pixels against slow lookups, one pixel at a time, in plain numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from likeness.engine.camera import Projection
from likeness.engine.geometry import build_geometry
from likeness.engine.materials import MaterialBank, Surfaces, TextureBundle
from likeness.engine.scene import Image, Material, Mesh, NormalMap, Scene, Socket, Texture, colour, scalar
from likeness.engine.view import DeviceGeometry, View, build_view
from tests.engine.ops.test_blender_texture import lookup
from tests.engine.shading.by_hand import looking_down, plane, scene_of, tensor, unit

AFFINE = np.array([[1.7, -0.4, 0.3], [0.5, 2.1, -0.2]], np.float32)
SIZE = 9


def decode(encoded: np.ndarray) -> np.ndarray:
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def images() -> dict[str, Image]:
    rng = np.random.default_rng(51)
    return {
        "Encoded": Image("Encoded", rng.uniform(0, 1, (5, 7, 4)).astype(np.float32), "sRGB"),
        "Plain": Image("Plain", rng.uniform(0, 1, (6, 4, 4)).astype(np.float32), "linear"),
    }


class Stage:
    """A plane with two UV maps under a camera that looks at it from above, or from below."""

    def __init__(self, material: Material, mesh: Mesh | None = None, from_below: bool = False) -> None:
        mesh = plane(2.0, material=material.name) if mesh is None else mesh
        mesh.uv_maps["Other"] = mesh.uv_maps["UVMap"] * 0.6 + 0.3
        camera = looking_down(scale=2.0)
        if from_below:
            camera.matrix[:3, :3] = np.diag([1.0, -1.0, -1.0])
            camera.matrix[2, 3] = -4.0
        self.scene: Scene = scene_of([mesh], [material], images=images(), cameras={"Camera": camera})
        geometry = build_geometry(self.scene, "cpu")
        self.bank = MaterialBank.of(self.scene, geometry)
        self.corners = DeviceGeometry(geometry, np.ones(2, np.float32))
        self.view: View = build_view(self.corners, Projection.of(camera, SIZE, SIZE), margin=0)
        p = self.view.position.numpy().astype(np.float64)
        self.uv = {None: (p[:, :2] + 1) / 2, "UVMap": (p[:, :2] + 1) / 2, "Other": (p[:, :2] + 1) / 2 * 0.6 + 0.3}

    def surfaces(self) -> Surfaces:
        return self.bank.surfaces(self.view, self.corners)

    def slow(self, texture: Texture) -> np.ndarray:
        """Interpolated values [P, 4]; colours decoded after interpolation."""
        image = self.scene.images[texture.image]
        uv = self.uv[texture.uv_map] @ texture.uv_matrix[:, :2].T.astype(np.float64) + texture.uv_matrix[:, 2]
        pixels = image.pixels.astype(np.float64)
        values = np.array([lookup(pixels, u, v, texture.extension, texture.interpolation) for u, v in uv])
        if image.encoding == "sRGB":
            values[:, :3] = decode(values[:, :3])
        return values


def textured(texture: Texture) -> Socket:
    return Socket(np.zeros(3, np.float32), texture)


def test_constants() -> None:
    material = Material(
        "Paint",
        colour(0.2, 1.4, 0.6),
        scalar(1.7),
        scalar(-0.2),
        scalar(1.33),
        scalar(0.8),
        colour(0.9, 0.8, 0.7),
        colour(0.1, 0.2, 0.4),
        scalar(3.0),
        multiscatter=False,
    )
    found = Stage(material).surfaces()
    # metallic and roughness are clamped as Blender's sockets are, base colour only from below
    expected = [0.2, 1.4, 0.6, 1.0, 0.0, 1.33, 0.8, 0.9, 0.8, 0.7, 0.0]
    assert found.parameters.numpy() == pytest.approx(np.tile(expected, (SIZE * SIZE, 1)), abs=1e-6)
    assert found.emission.numpy() == pytest.approx(np.tile([0.3, 0.6, 1.2], (SIZE * SIZE, 1)), abs=1e-6)


@pytest.mark.parametrize("uv_map", [None, "Other"])
@pytest.mark.parametrize("extension", ["REPEAT", "EXTEND", "CLIP", "MIRROR"])
@pytest.mark.parametrize("image", ["Encoded", "Plain"])
def test_colour_from_an_image(image: str, extension: Any, uv_map: str | None) -> None:
    texture = Texture(image, uv_map, AFFINE, extension)
    stage = Stage(Material("Paint", textured(texture)))
    expected = stage.slow(texture)[:, :3]
    assert stage.surfaces().parameters[:, :3].numpy() == pytest.approx(expected, abs=2e-5)


@pytest.mark.parametrize("channel", [None, 0, 1, 2, 3])
@pytest.mark.parametrize("image", ["Encoded", "Plain"])
def test_scalars_from_an_image(image: str, channel: int | None) -> None:
    """A colour becomes its luminance; a channel comes after decoding; alpha is never decoded."""
    texture = Texture(image, None, AFFINE, channel=channel)
    stage = Stage(Material("Paint", roughness=textured(texture), metallic=textured(texture)))
    values = stage.slow(texture)
    expected = values[:, :3] @ (0.2126, 0.7152, 0.0722) if channel is None else values[:, channel]
    found = stage.surfaces().parameters.numpy()
    assert found[:, 3] == pytest.approx(expected, abs=2e-5)
    assert found[:, 4] == pytest.approx(expected, abs=2e-5)


@pytest.mark.parametrize("strength", [0.0, 0.4, 1.0, 1.8])
@pytest.mark.parametrize("below", [False, True])
def test_normal_map(below: bool, strength: float) -> None:
    """Tangent +X, bitangent +Y, normal +Z; a strength bends x and y, and z up to 1; the back sees it turned around."""
    texture = Texture("Plain")
    stage = Stage(Material("Paint", normal=NormalMap(texture, strength)), from_below=below)
    c = 2 * stage.slow(texture)[:, :3] - 1
    z = 1 + (c[:, 2] - 1) * min(strength, 1.0)
    expected = unit(np.stack([c[:, 0] * strength, c[:, 1] * strength, z], axis=-1))
    found = stage.surfaces().normal.numpy()
    assert found == pytest.approx(-expected if below else expected, abs=1e-5)


def test_mirrored_texture_coordinates_turn_the_bitangent() -> None:
    mesh = plane(2.0, material="Paint")
    assert mesh.corner_tangents is not None
    mesh.corner_tangents[..., 3] = -1.0
    texture = Texture("Plain")
    stage = Stage(Material("Paint", normal=NormalMap(texture)), mesh)
    c = 2 * stage.slow(texture)[:, :3] - 1
    assert stage.surfaces().normal.numpy() == pytest.approx(unit(c * [1, -1, 1]), abs=1e-5)


def test_normal_map_without_tangents_is_left_out() -> None:
    mesh = plane(2.0, material="Paint")
    mesh.corner_tangents = None
    stage = Stage(Material("Paint", normal=NormalMap(Texture("Plain"))), mesh)
    assert torch.equal(stage.surfaces().normal, stage.view.frames.smooth)


def test_object_without_material_is_the_grey_of_cycles() -> None:
    stage = Stage(Material("Unused"), plane(2.0, material="None of these"))
    found = stage.surfaces().parameters.numpy()
    assert found[:, :3] == pytest.approx(np.full((SIZE * SIZE, 3), 0.8))
    assert not found[:, 6].any()  # no specular: matte


def fitted_stage() -> tuple[Stage, TextureBundle]:
    """Base colour, roughness, normal and emission of a material come from one fitted texture."""
    rng = np.random.default_rng(52)
    texture = Texture("", None, AFFINE, "MIRROR")
    channels = {"base_color": (0, 3), "roughness": (3, 4), "normal": (4, 7), "emission": (7, 10)}
    data = rng.uniform(0.05, 0.95, (4, 6, 10))
    data[..., 6] = 0.9
    bundle = TextureBundle("Paint", texture, channels, tensor(data))
    stage = Stage(Material("Paint", normal=NormalMap(Texture("Plain"), 0.3)))
    stage.bank.bundles = [bundle]
    return stage, bundle


def test_fitted_textures_take_the_place_of_sockets() -> None:
    stage, bundle = fitted_stage()
    uv = stage.uv[None] @ AFFINE[:, :2].T.astype(np.float64) + AFFINE[:, 2]
    stored = bundle.data.double().numpy()
    values = np.array([lookup(stored, u, v, "MIRROR", "Linear") for u, v in uv])
    found = stage.surfaces()
    assert found.parameters[:, :3].numpy() == pytest.approx(decode(values[:, :3]), abs=2e-5)
    assert found.parameters[:, 4].numpy() == pytest.approx(values[:, 3], abs=2e-5)
    assert found.normal.numpy() == pytest.approx(unit(2 * values[:, 4:7] - 1), abs=1e-5)  # a fitted map has strength 1
    assert found.emission.numpy() == pytest.approx(values[:, 7:], abs=2e-5)
    assert stage.bank.bundle_of("Paint", "roughness") is bundle
    assert stage.bank.bundle_of("Paint", "metallic") is None


def test_gradients_of_fitted_textures_by_finite_differences() -> None:
    stage, bundle = fitted_stage()
    generator = torch.Generator().manual_seed(2)
    start = bundle.data.double()

    def value(data: np.ndarray) -> float:
        uv = stage.uv[None] @ AFFINE[:, :2].T.astype(np.float64) + AFFINE[:, 2]
        v = np.array([lookup(data, a, b, "MIRROR", "Linear") for a, b in uv])
        return float(
            (decode(v[:, :3]) * weights[0]).sum()
            + (v[:, 3:4] * weights[1]).sum()
            + (unit(2 * v[:, 4:7] - 1) * weights[2]).sum()
            + (v[:, 7:] * weights[3]).sum()
        )

    count = len(stage.view.face)
    tensors = [torch.randn(count, width, generator=generator) for width in (3, 1, 3, 3)]
    weights = [t.double().numpy() for t in tensors]
    bundle.data.requires_grad_()
    found = stage.surfaces()
    parts = [found.parameters[:, :3], found.parameters[:, 4:5], found.normal, found.emission]
    sum((part * t).sum() for part, t in zip(parts, tensors, strict=True)).backward()
    assert bundle.data.grad is not None
    for _ in range(4):
        direction = torch.randn(start.shape, generator=generator, dtype=torch.float64)
        step = 1e-5
        up, down = value((start + step * direction).numpy()), value((start - step * direction).numpy())
        expected = (up - down) / (2 * step)
        assert float((bundle.data.grad * direction).sum()) == pytest.approx(expected, rel=1e-3, abs=1e-2)


def test_table_for_indirect_light_holds_decoded_values() -> None:
    stage = Stage(Material("Paint", textured(Texture("Encoded", None, AFFINE)), roughness=scalar(0.3)))
    table = stage.bank.table()
    row = stage.bank.materials.index(stage.scene.materials["Paint"])
    first, width, height, _, _ = table.textures.numpy()[row, 0]
    assert (width, height) == (7, 5)
    pixels = table.pool.numpy()[first : first + 3 * 35].reshape(5, 7, 3)
    assert pixels == pytest.approx(decode(stage.scene.images["Encoded"].pixels[..., :3]), abs=1e-6)
    assert table.uv_matrix.numpy()[row, 0] == pytest.approx(AFFINE.reshape(6))
    assert table.constants.numpy()[row, 4] == pytest.approx(0.3)

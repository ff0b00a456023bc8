# SPDX-License-Identifier: GPL-3.0-or-later
"""What is free in a fit: start values, gains, filling of unseen texels, and going back to a remembered state."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from likeness.engine.parameters import RANGES, Parameters, names_by_kind, push_pull, resize
from likeness.engine.render import Renderer
from likeness.engine.result import Target
from likeness.engine.scene import Image, Light, Material, Photo, Scene, Socket, Texture, World, colour, scalar
from tests.engine.shading.by_hand import plane, scene_of

MAPPED = np.array([[2.0, 0.0, 0.1], [0.0, 2.0, 0.0]], np.float32)


def lamp(name: str, data_name: str, energy: float = 10.0) -> Light:
    light = Light(name, data_name, "POINT", np.eye(4), energy, np.array([1.0, 0.5, 0.25], np.float32))
    light.multiplier = np.array([2.0, 1.0, 1.0], np.float32)
    return light


def scene() -> Scene:
    """Two lamps share their data; a material has an image with a mapping, another has constants."""
    pixels = np.random.default_rng(3).uniform(0, 1, (8, 8, 4)).astype(np.float32)
    mapped = Texture("Photo", None, MAPPED)
    return scene_of(
        [plane(material="Mapped"), plane(z=1.0, material="Plain", name="Other")],
        [
            Material("Mapped", Socket(np.zeros(3), mapped), roughness=scalar(0.25)),
            Material(
                "Plain", colour(0.5, 0.2, 0.1), emission_strength=scalar(2.0), emission_color=colour(0.1, 0.2, 0.3)
            ),
        ],
        [lamp("Left", "Pair"), lamp("Single", "Single", 0.0), lamp("Right", "Pair")],
        images={"Photo": Image("Photo", pixels, "sRGB")},
        world=World(color=np.array([0.2, 0.3, 0.4], np.float32), strength=0.5),
        photos=[
            Photo("Camera", "a.png", exposure=0.5, white_balance=np.array([1.2, 1.0, 0.9], np.float32)),
            Photo("Camera", "b.png", exposure=-0.5),
        ],
    )


def parameters_of(*targets: str, size: int = 8) -> tuple[Renderer, Parameters]:
    renderer = Renderer(scene(), "cpu")
    chosen = names_by_kind([Target(*target.split("@")) for target in targets])
    return renderer, Parameters.of(renderer, chosen, size)


def test_nothing_moves_before_the_first_step() -> None:
    """The fit starts from the scene as it is, except for what is black and could not be scaled."""
    renderer, parameters = parameters_of("lights@Pair", "world_strength", "exposure", "white_balance")
    assert parameters.light_color().detach().numpy() == pytest.approx(renderer.light_color.numpy())
    assert parameters.environment().detach().numpy() == pytest.approx(renderer.environment.numpy())
    assert parameters.photo_gain(0).detach().numpy() == pytest.approx(2**0.5 * np.array([1.2, 1.0, 0.9]))
    assert parameters.photo_gain(1).detach().numpy() == pytest.approx(np.full(3, 2**-0.5))
    _, parameters = parameters_of("lights@Single", "world")
    assert float(parameters.light_color()[1].min()) > 0
    assert parameters.environment().detach().numpy() == pytest.approx(
        np.broadcast_to([0.1, 0.15, 0.2], parameters.environment().shape), rel=1e-5
    )


def test_lamps_that_share_their_data_change_together() -> None:
    renderer, parameters = parameters_of("lights@Pair")
    start = renderer.light_color.clone()
    with torch.no_grad():
        parameters.light_log += torch.tensor([[np.log(2.0), 0.0, np.log(0.5)]])
    found = parameters.light_color().detach()
    factor = torch.tensor([2.0, 1.0, 0.5])
    assert torch.allclose(found[0], start[0] * factor)
    assert torch.allclose(found[2], start[2] * factor)
    assert torch.equal(found[1], start[1])


def test_only_what_was_chosen_is_free() -> None:
    _, parameters = parameters_of("exposure", "base_color@Plain")
    assert set(parameters.scene_tensors()) == {"exposure"}
    _, parameters = parameters_of("lights@Pair", "world_strength", "white_balance")
    assert set(parameters.scene_tensors()) == {"light_log", "strength_log", "white_balance_log"}
    _, parameters = parameters_of("world")
    assert set(parameters.scene_tensors()) == {"environment_log"}


def test_green_is_the_reference_of_white_balance() -> None:
    _, parameters = parameters_of("white_balance")
    with torch.no_grad():
        parameters.white_balance_log[1] = torch.tensor([0.2, 5.0, -0.1])
    expected = 2**-0.5 * np.exp([0.2, 0.0, -0.1])
    assert parameters.photo_gain(1).detach().numpy() == pytest.approx(expected)


def test_textures_start_from_sockets_and_images() -> None:
    renderer, parameters = parameters_of("base_color@Plain", "emission@Plain", "base_color@Mapped", "roughness@Mapped")
    by_name = {}
    for bundle in parameters.bundles:
        for target, (first, last) in bundle.channels.items():
            by_name[bundle.material, target] = bundle, bundle.data.detach()[..., first:last].numpy()
    encoded = 1.055 * np.array([0.5, 0.2, 0.1]) ** (1 / 2.4) - 0.055
    assert by_name["Plain", "base_color"][1] == pytest.approx(np.broadcast_to(encoded, (8, 8, 3)), abs=1e-5)
    assert by_name["Plain", "emission"][1] == pytest.approx(np.broadcast_to([0.2, 0.4, 0.6], (8, 8, 3)), abs=1e-5)
    image = renderer.scene.images["Photo"].pixels[..., :3]
    assert by_name["Mapped", "base_color"][1] == pytest.approx(image, abs=1e-5)
    assert by_name["Mapped", "roughness"][1] == pytest.approx(np.full((8, 8, 1), 0.25))
    # one lookup serves targets with one mapping, and only these
    assert by_name["Plain", "base_color"][0] is by_name["Plain", "emission"][0]
    assert by_name["Mapped", "base_color"][0] is not by_name["Mapped", "roughness"][0]
    assert np.array_equal(by_name["Mapped", "base_color"][0].texture.uv_matrix, MAPPED)


def test_projection_keeps_textures_in_range() -> None:
    _, parameters = parameters_of("base_color@Plain", "roughness@Plain", "normal@Plain", "emission@Plain")
    with torch.no_grad():
        for bundle in parameters.bundles:
            bundle.data += torch.randn(bundle.data.shape, generator=torch.Generator().manual_seed(1)) * 300
    parameters.project()
    for bundle in parameters.bundles:
        for target, (first, last) in bundle.channels.items():
            values = bundle.data.detach()[..., first:last]
            low, high = RANGES[target]
            assert low <= float(values.min())
            assert float(values.max()) <= high


def test_an_earlier_state_comes_back() -> None:
    _, parameters = parameters_of("base_color@Plain", "lights@Pair", "world", "exposure", "white_balance")
    parameters.memory["note"] = torch.ones(2)
    state = parameters.state()
    before = {name: tensor.clone() for name, tensor in state.items()}
    with torch.no_grad():
        for tensor in parameters.scene_tensors().values():
            tensor += 1.0
    parameters.memory.clear()
    parameters.enlarge(16, {})
    assert all(torch.equal(state[name], before[name]) for name in before)  # a copy, not a view
    parameters.load(state)
    after = parameters.state()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert parameters.bundles[0].data.shape == (8, 8, 3)
    assert parameters.bundles[0].data.requires_grad


def test_enlarging_keeps_the_picture_and_fills_what_was_not_seen() -> None:
    _, parameters = parameters_of("base_color@Plain")
    with torch.no_grad():
        parameters.bundles[0].data[:, :4] = 0.2
        parameters.bundles[0].data[:, 4:] = 0.9
    coverage = torch.zeros(8, 8)
    coverage[:, :4] = 1.0
    parameters.enlarge(32, {0: coverage})
    data = parameters.bundles[0].data
    assert data.shape == (32, 32, 3)
    assert data.is_leaf
    assert data.requires_grad
    assert data.detach().numpy() == pytest.approx(np.full((32, 32, 3), 0.2), abs=1e-5)


@pytest.mark.parametrize("shape", [(16, 16), (13, 21), (1, 7), (1, 1)])
def test_push_pull_keeps_what_was_seen(shape: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(4)
    data = torch.rand(*shape, 3, generator=generator)
    weight = (torch.rand(*shape, 1, generator=generator) < 0.3).float() * 5.0
    weight[0, 0] = 0.01
    filled = push_pull(data, weight)
    seen = weight[..., 0] > 0
    assert torch.equal(filled[seen], data[seen])
    inside = data[seen]
    assert (filled >= inside.amin(0) - 1e-5).all()  # averages of what was seen, nothing else
    assert (filled <= inside.amax(0) + 1e-5).all()


def test_push_pull_fills_from_nearby() -> None:
    data = torch.zeros(32, 32, 1)
    weight = torch.zeros(32, 32, 1)
    data[:, :8], weight[:, :8] = 1.0, 1.0
    data[:, 24:], weight[:, 24:] = 3.0, 1.0
    filled = push_pull(data, weight)[..., 0]
    assert (filled[:, 8:11] < 1.7).all()
    assert (filled[:, 21:24] > 2.3).all()


def test_push_pull_with_nothing_seen_changes_nothing() -> None:
    data = torch.rand(4, 4, 2)
    assert torch.equal(push_pull(data, torch.zeros(4, 4, 1)), data)


@pytest.mark.parametrize("size", [(4, 4), (16, 16), (8, 8), (5, 3)])
def test_resizing_keeps_the_mean(size: tuple[int, int]) -> None:
    data = torch.rand(8, 8, 3, generator=torch.Generator().manual_seed(5))
    found = resize(data, *size)
    assert found.shape == (*size, 3)
    if 8 % size[0] == 0:
        assert found.mean((0, 1)).numpy() == pytest.approx(data.mean((0, 1)).numpy(), abs=1e-6)
    found += 1.0
    assert float(data.max()) < 1.0  # never a view of the input


def test_names_by_kind() -> None:
    targets = [Target("lights", "A"), Target("lights", "B"), Target("exposure"), Target("base_color", "Gold")]
    assert names_by_kind(targets) == {"lights": ["A", "B"], "exposure": [], "base_color": ["Gold"]}


def test_held_normal_maps_have_no_gradient() -> None:
    _, parameters = parameters_of("base_color@Plain", "normal@Plain")
    parameters.hold_form()  # before the first backward there is nothing to forget
    (bundle,) = parameters.bundles
    bundle.data.square().sum().backward()
    parameters.hold_form()
    assert bundle.data.grad is not None
    first, last = bundle.channels["normal"]
    assert (bundle.data.grad[..., first:last] == 0).all()
    first, last = bundle.channels["base_color"]
    assert (bundle.data.grad[..., first:last] != 0).all()

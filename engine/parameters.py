# SPDX-License-Identifier: GPL-3.0-or-later
"""What is free in a fit: textures, light powers, world radiance, per-photo exposure and white balance.

Textures are fitted in the values that the image datablock will store and kept inside their range after each step.
Everything radiometric is fitted as a logarithm, so that it stays positive and a step means a ratio.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F

from .color.srgb import srgb_decode, srgb_encode
from .materials import LUMINANCE, MaterialBank, TextureBundle
from .render import Renderer
from .result import MATERIAL_TARGETS, Target
from .scene import Material, Scene, Socket, Texture

CHANNELS = {"base_color": 3, "roughness": 1, "metallic": 1, "normal": 3, "emission": 3}
# Stored values each kind may take. Rougher than .05: a sharper mirror cannot be told from noise in a photo.
RANGES = {
    "base_color": (0.0, 1.0),
    "roughness": (0.05, 1.0),
    "metallic": (0.0, 1.0),
    "normal": (0.0, 1.0),
    "emission": (0.0, 100.0),
}
# A black light or world cannot be scaled: it starts from this share of white instead.
DARK = 1e-3
ENVIRONMENT_SIZE = (32, 64)  # of a world that had no image
MAX_ENVIRONMENT_HEIGHT = 128


def names_by_kind(targets: list[Target]) -> dict[str, list[str]]:
    """Resolved targets as target kind -> names of its materials or light datablocks (none for scene targets)."""
    chosen: dict[str, list[str]] = {}
    for target in targets:
        names = chosen.setdefault(target.kind, [])
        if target.datablock is not None:
            names.append(target.datablock)
    return chosen


def _socket_of(material: Material, target: str) -> Socket | None:
    return {
        "base_color": material.base_color,
        "roughness": material.roughness,
        "metallic": material.metallic,
        "emission": material.emission_color,
    }.get(target)


def _start_of(material: Material, target: str, bank: MaterialBank, size: int) -> tuple[torch.Tensor, Texture]:
    """Start values [size, size, C] as stored, and the mapping of the texture they come from."""
    texture = material.normal.texture if target == "normal" and material.normal else None
    socket = _socket_of(material, target)
    if socket is not None:
        texture = socket.texture
    channels = CHANNELS[target]
    if texture is None:
        value = np.array([0.5, 0.5, 1.0], np.float32)
        if socket is not None:
            value = np.broadcast_to(np.asarray(socket.value, np.float32), (channels,))
        if target == "emission":
            value = value * material.emission_strength.value
        if target == "base_color":
            value = srgb_encode(value)
        data = torch.from_numpy(np.array(value, np.float32)).to(bank.device).expand(size, size, channels).clone()
        return data, Texture("")
    pixels = bank.images[texture.image]
    if texture.channel == 3:
        data = pixels[..., 3:4].expand(-1, -1, channels)
    else:
        data = pixels[..., :3]
        if bank.encodings[texture.image] == "sRGB":
            data = srgb_decode(data)
        if texture.channel is not None:
            data = data[..., texture.channel : texture.channel + 1].expand(-1, -1, channels)
        elif channels == 1:
            data = data @ torch.tensor(LUMINANCE, device=bank.device)[:, None]
        if target == "base_color":
            data = srgb_encode(data.clamp(min=0.0))
        if target == "emission":
            data = data * float(material.emission_strength.value[0])
    return resize(data, size, size), texture


def resize(data: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """[H, W, C] to another size: area averages down, bilinear up."""
    if data.shape[:2] == (height, width):
        return data.clone()
    image = data.permute(2, 0, 1)[None]
    down = height < data.shape[0] or width < data.shape[1]
    if down:
        image = F.interpolate(image, (height, width), mode="area")
    else:
        image = F.interpolate(image, (height, width), mode="bilinear", align_corners=False)
    return image[0].permute(1, 2, 0).contiguous()


@dataclass
class Parameters:
    """The free tensors of a fit (leaves with gradients) and how scene quantities follow from them."""

    bundles: list[TextureBundle]
    light_rows: torch.Tensor  # [L] int64: light -> row of light_log, -1 for lights that stay
    light_names: list[str]  # rows of light_log
    light_start: torch.Tensor  # [L, 3] effective power
    light_log: torch.Tensor  # [D, 3] log of the gain
    environment_start: torch.Tensor  # [H, W, 3]
    environment_log: torch.Tensor | None  # [H, W, 3] log radiance where the world's image or colour is free
    strength_log: torch.Tensor  # [1] log gain of the world where only the strength is free
    exposure: torch.Tensor  # [N] stops
    exposure_mean: float  # of the start
    white_balance_log: torch.Tensor  # [N, 3], green is ignored
    white_balance_start: torch.Tensor  # [N, 3]
    chosen: dict[str, list[str]] = field(default_factory=dict)
    memory: dict[str, torch.Tensor] = field(default_factory=dict)  # tensors that a stage leaves for a later one

    @classmethod
    def of(cls, renderer: Renderer, chosen: dict[str, list[str]], size: int) -> Parameters:
        """Start values from the scene; `size` is the side of the first, coarse textures."""
        scene, device = renderer.scene, renderer.device
        rows = {name: row for row, name in enumerate(chosen.get("lights", []))}
        start = renderer.light_color.clone()
        for i, light in enumerate(scene.lights):
            if light.data_name in rows:
                start[i] = torch.maximum(start[i], torch.full_like(start[i], DARK))
        environment, environment_log = renderer.environment, None
        if "world" in chosen:
            height, width = environment.shape[:2]
            if height * width == 1:
                environment = environment.expand(*ENVIRONMENT_SIZE, 3)
            elif height > MAX_ENVIRONMENT_HEIGHT:
                environment = resize(environment, MAX_ENVIRONMENT_HEIGHT, 2 * MAX_ENVIRONMENT_HEIGHT)
            environment_log = environment.clamp(min=DARK).log().contiguous()
        elif "world_strength" in chosen:
            environment = environment.clamp(min=DARK) if float(environment.max()) <= 0 else environment
        count = len(scene.photos)
        parameters = cls(
            bundles=_bundles(renderer.bank, chosen, size),
            light_rows=torch.tensor([rows.get(light.data_name, -1) for light in scene.lights] or [-1], device=device),
            light_names=list(rows),
            light_start=start,
            light_log=torch.zeros((len(rows), 3), device=device),
            environment_start=environment,
            environment_log=environment_log,
            strength_log=torch.zeros(1, device=device),
            exposure=torch.tensor([float(photo.exposure) for photo in scene.photos], device=device),
            exposure_mean=float(np.mean([photo.exposure for photo in scene.photos])),
            white_balance_log=torch.zeros((count, 3), device=device),
            white_balance_start=torch.tensor(
                np.array([photo.white_balance for photo in scene.photos], np.float32), device=device
            ),
            chosen=chosen,
        )
        parameters._require()
        return parameters

    def _require(self) -> None:
        """Mark as leaves with gradient what is free."""
        for bundle in self.bundles:
            bundle.data = bundle.data.detach().requires_grad_(True)
        self.light_log.requires_grad_(bool(self.light_names))
        if self.environment_log is not None:
            self.environment_log = self.environment_log.detach().requires_grad_(True)
        self.strength_log.requires_grad_("world_strength" in self.chosen)
        self.exposure.requires_grad_("exposure" in self.chosen)
        self.white_balance_log.requires_grad_("white_balance" in self.chosen)

    def light_color(self) -> torch.Tensor:
        """Effective power of every light [L, 3]."""
        if not self.light_names:
            return self.light_start
        gain = torch.cat([self.light_log, torch.zeros_like(self.light_log[:1])]).exp()
        return self.light_start * gain[self.light_rows]

    def environment(self) -> torch.Tensor:
        """Radiance image of the world [H, W, 3]."""
        if self.environment_log is not None:
            return self.environment_log.exp()
        return self.environment_start * self.strength_log.exp()

    def light_is_free(self, scene: Scene) -> bool:
        """Whether every light source of the scene is being fitted."""
        dark = float(self.environment_start.max()) <= 0
        return all(light.data_name in self.light_names for light in scene.lights) and (self.world_is_free() or dark)

    def world_is_free(self) -> bool:
        """Whether the environment is being fitted."""
        return self.environment_log is not None or self.strength_log.requires_grad

    @torch.no_grad()
    def scale_light(self, gain: float) -> None:
        """Another start: all light times `gain`."""
        self.light_start = self.light_start * gain
        self.environment_start = self.environment_start * gain
        if self.environment_log is not None:
            self.environment_log += math.log(gain)

    def photo_gain(self, index: int) -> torch.Tensor:
        """Factor [3] on scene-linear radiance for one photo: exposure and white balance (green = 1)."""
        balance = self.white_balance_log[index] * torch.tensor([1.0, 0.0, 1.0], device=self.exposure.device)
        return torch.exp2(self.exposure[index]) * self.white_balance_start[index] * balance.exp()

    def scene_tensors(self) -> dict[str, torch.Tensor]:
        """The small free tensors by name."""
        named = {
            "light_log": self.light_log,
            "environment_log": self.environment_log,
            "strength_log": self.strength_log,
            "exposure": self.exposure,
            "white_balance_log": self.white_balance_log,
        }
        return {name: tensor for name, tensor in named.items() if tensor is not None and tensor.requires_grad}

    def hold_form(self) -> None:
        """Forget the gradients of normal maps: early on they would take on what light and colours have to explain."""
        for bundle in self.bundles:
            if "normal" in bundle.channels and bundle.data.grad is not None:
                bundle.data.grad[..., slice(*bundle.channels["normal"])] = 0.0

    @torch.no_grad()
    def project(self) -> None:
        """Bring the textures back into their ranges after a step, and settle what photos cannot tell.

        One gain of all photos is the same as brighter or redder light: where the light is free, the photos' exposures
        and white balances keep the mean from which they started.
        """
        if {"lights", "world", "world_strength"} & set(self.chosen):
            if self.exposure.requires_grad:
                self.exposure += self.exposure_mean - self.exposure.mean()
            if self.white_balance_log.requires_grad:
                self.white_balance_log -= self.white_balance_log.mean(0)
        for bundle in self.bundles:
            ranges = torch.empty(2, bundle.data.shape[-1])
            for target, (first, last) in bundle.channels.items():
                ranges[:, first:last] = torch.tensor(RANGES[target])[:, None]
            bundle.data.clamp_(*ranges.to(bundle.data.device))

    @torch.no_grad()
    def enlarge(self, size: int, coverage: dict[int, torch.Tensor]) -> None:
        """Go on with textures of side `size`; texels that no photo sees are filled from those around them.

        `coverage` maps a bundle's index to its weights [H, W].
        """
        for index, bundle in enumerate(self.bundles):
            data = bundle.data.detach()
            if index in coverage:
                data = push_pull(data, resize(coverage[index][..., None], *data.shape[:2]))
            bundle.data = resize(data, size, size).requires_grad_(True)

    def state(self) -> dict[str, torch.Tensor]:
        """Copies of all free tensors."""
        state = {name: tensor.detach().clone() for name, tensor in self.scene_tensors().items()}
        state.update(light_start=self.light_start.clone(), environment_start=self.environment_start.clone())
        state.update({f"memory {name}": tensor.clone() for name, tensor in self.memory.items()})
        state.update({f"bundle {i}": bundle.data.detach().clone() for i, bundle in enumerate(self.bundles)})
        return state

    @torch.no_grad()
    def load(self, state: dict[str, torch.Tensor]) -> None:
        """Back to an earlier `state()`, texture sizes included."""
        for name, tensor in self.scene_tensors().items():
            tensor.copy_(state[name])
        self.light_start = state["light_start"].to(self.light_start)
        self.environment_start = state["environment_start"].to(self.environment_start)
        for i, bundle in enumerate(self.bundles):
            bundle.data = state[f"bundle {i}"].to(bundle.data.device).clone().requires_grad_(True)
        self.memory = {
            name.removeprefix("memory "): tensor.to(self.exposure.device)
            for name, tensor in state.items()
            if name.startswith("memory ")
        }


def _bundles(bank: MaterialBank, chosen: dict[str, list[str]], size: int) -> list[TextureBundle]:
    """One bundle for the targets of a material that share a mapping."""
    bundles: list[TextureBundle] = []
    by_name = {material.name: material for material in bank.materials}
    for name in dict.fromkeys(name for kind in MATERIAL_TARGETS for name in chosen.get(kind, [])):
        groups: dict[tuple, list[tuple[str, torch.Tensor, Texture]]] = {}
        for target in MATERIAL_TARGETS:
            if name in chosen.get(target, []):
                data, texture = _start_of(by_name[name], target, bank, size)
                mapping = (texture.uv_map, np.asarray(texture.uv_matrix).tobytes(), texture.extension)
                groups.setdefault((*mapping, texture.interpolation), []).append((target, data, texture))
        for members in groups.values():
            channels, first = {}, 0
            for target, data, _ in members:
                channels[target] = (first, first + data.shape[-1])
                first += data.shape[-1]
            joined = torch.cat([data for _, data, _ in members], dim=-1).contiguous()
            bundles.append(TextureBundle(name, members[0][2], channels, joined))
    return bundles


def push_pull(data: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Fill texels of weight 0 from their surroundings (Grossman and Dally 1998: pull averages up, push them down).

    `data` [H, W, C], `weight` [H, W, 1] >= 0. Texels with weight keep their value.
    """
    seen = (weight > 0).to(data.dtype)
    if not bool(seen.any()):
        return data.clone()
    levels = [(data, seen)]
    while max(levels[-1][0].shape[:2]) > 1:
        value, mass = levels[-1]
        joined = torch.cat([value * mass, mass], dim=-1).permute(2, 0, 1)[None]
        small = F.avg_pool2d(joined, 2, ceil_mode=True, count_include_pad=False)[0].permute(1, 2, 0)
        total = small[..., -1:]
        levels.append((small[..., :-1] / total.clamp(min=1e-8), (total > 0).to(data.dtype)))
    filled = levels[-1][0]
    for value, mass in reversed(levels[:-1]):
        filled = torch.where(mass > 0, value, resize(filled, *value.shape[:2]))
    return filled

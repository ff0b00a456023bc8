# SPDX-License-Identifier: GPL-3.0-or-later
"""Material parameters of the visible pixels, from constants, image textures and textures that are being fitted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
import warp as wp

from .color.srgb import srgb_decode
from .geometry import DEFAULT_MATERIAL, Geometry
from .normal_maps import mapped_normal
from .ops.blender_texture import sample_texture
from .scene import Image, Material, Scene, Socket, Texture, colour, scalar
from .shading.grain import GRAIN_WIDTH
from .shading.live_texels import LiveTexture, share_of_base
from .shading.lobes import SURFACE_WIDTH
from .shading.reduction import reduced
from .shading.secondary import BASE_COLOR, EMISSION, METALLIC, ROUGHNESS, MaterialArrays, MaterialTable
from .shading.subsurface import scattered
from .view import DeviceGeometry, View

LUMINANCE = (0.2126, 0.7152, 0.0722)  # Rec.709, what Cycles takes for a colour in a scalar socket


@dataclass
class TextureBundle:
    """Fitted channels of one material that share a mapping; looked up together.

    ``data`` [H, W, C] holds what the image datablocks will store (base colour sRGB-encoded, normals as 0.5 + n / 2).
    """

    material: str
    texture: Texture  # mapping only; its image is replaced by `data`
    channels: dict[str, tuple[int, int]]  # target -> first and last + 1 channel
    data: torch.Tensor


@dataclass
class Surfaces:
    """Per-pixel material of a view."""

    parameters: torch.Tensor  # [P, SURFACE_WIDTH], see shading/lobes.py
    normal: torch.Tensor  # [P, 3] shading normal, unit, world space, towards the viewer
    emission: torch.Tensor  # [P, 3]
    layers: torch.Tensor | None = None  # socket rows, see shading/layers.py; None where no pixel has any
    grain: torch.Tensor | None = None  # [P, GRAIN_WIDTH], see shading/grain.py; likewise
    rough: torch.Tensor | None = None  # [P, 1] diffuse roughness; likewise


def default_material() -> Material:
    """What Cycles gives an object without a material: a grey diffuse surface."""
    return Material(DEFAULT_MATERIAL, colour(0.8, 0.8, 0.8), roughness=scalar(1.0), specular_level=scalar(0.0))


def layer_sockets(material: Material, value: Callable[[Socket, int], torch.Tensor]) -> torch.Tensor:
    """Rows for shading/coat.py [n or 1, SOCKET_WIDTH] within the sockets' ranges; ``value`` gives those of a socket."""
    columns = [
        value(material.coat_weight, 1).clamp(0.0, 1.0),
        value(material.coat_roughness, 1).clamp(0.0, 1.0),
        value(material.coat_ior, 1).clamp(min=1.0),
        value(material.coat_tint, 3).clamp(min=0.0),
        value(material.sheen_weight, 1).clamp(0.0, 1.0) * value(material.sheen_tint, 3).clamp(min=0.0),
        value(material.sheen_roughness, 1).clamp(1e-3, 1.0),
    ]
    count = max(len(column) for column in columns)
    return torch.cat([column.expand(count, -1) for column in columns], dim=1)


def has_layers(material: Material) -> bool:
    """Whether there is coat or sheen anywhere on a material."""
    return _is_any(material.coat_weight) or (_is_any(material.sheen_weight) and _is_any(material.sheen_tint))


def _is_any(socket: Socket) -> bool:
    return socket.texture is not None or bool(np.max(socket.value) > 0.0)


@dataclass
class MaterialBank:
    """All materials of a scene on one device. Rows follow Geometry.material_names."""

    materials: list[Material]
    uv_slots: list[str | None]
    device: str
    images: dict[str, torch.Tensor] = field(default_factory=dict)
    encodings: dict[str, str] = field(default_factory=dict)
    bundles: list[TextureBundle] = field(default_factory=list)
    _layer_means: dict[int, np.ndarray] = field(default_factory=dict)

    @classmethod
    def of(cls, scene: Scene, geometry: Geometry) -> MaterialBank:
        """Upload the images that the scene's materials use."""
        materials = [scene.materials.get(name) or default_material() for name in geometry.material_names]
        bank = cls(materials, geometry.uv_slots, geometry.device)
        for material in materials:
            for texture in _textures_of(material):
                if texture.image not in bank.images:
                    bank._add_image(texture.image, scene.images[texture.image])
        return bank

    def _add_image(self, name: str, image: Image) -> None:
        pixels = np.ascontiguousarray(image.pixels, np.float32)
        self.images[name] = torch.from_numpy(pixels).to(self.device)
        self.encodings[name] = image.encoding

    def uv_slot(self, texture: Texture) -> int:
        """Row of Geometry.uvs that the texture uses."""
        return self.uv_slots.index(texture.uv_map) if texture.uv_map in self.uv_slots else 0

    def texture_uv(self, texture: Texture, view: View, geometry: DeviceGeometry, part: slice) -> torch.Tensor:
        """Lookup coordinates [n, 2] of a texture, mapping included, for a slice of a view's pixels."""
        return self._mapped(texture, geometry.uv(view, self.uv_slot(texture), part))

    def _mapped(self, texture: Texture, uv: torch.Tensor) -> torch.Tensor:
        matrix = np.asarray(texture.uv_matrix, np.float32)
        if not np.array_equal(matrix, np.eye(2, 3, dtype=np.float32)):
            affine = torch.from_numpy(matrix).to(self.device)
            uv = uv @ affine[:, :2].T + affine[:, 2]
        return uv.contiguous()

    def parts_of(self, view: View) -> list[tuple[int, TextureBundle, slice]]:
        """Index, bundle and pixels of the fitted textures that a view sees."""
        rows = {material.name: row for row, material in enumerate(self.materials)}
        parts = dict(view.material_slices)
        found = [(i, bundle, parts.get(rows.get(bundle.material, -1))) for i, bundle in enumerate(self.bundles)]
        return [(i, bundle, part) for i, bundle, part in found if part is not None]

    def bundle_of(self, material: str, target: str) -> TextureBundle | None:
        """The fitted texture of a material's socket, if it is being fitted."""
        for bundle in self.bundles:
            if bundle.material == material and target in bundle.channels:
                return bundle
        return None

    def surfaces(self, view: View, geometry: DeviceGeometry) -> Surfaces:
        """Material of every pixel of a view, differentiable with respect to the bundles' data."""
        if not view.material_slices:
            empty = torch.zeros((0, 3), device=self.device)
            return Surfaces(torch.zeros((0, SURFACE_WIDTH), device=self.device), empty, empty)
        blocks = [self._block(self.materials[row], view, geometry, part) for row, part in view.material_slices]
        parameters, normal, emission = (torch.cat(column) for column in zip(*blocks, strict=True))
        layers, grain, rough = self._layers(view, geometry), self._grain(view, geometry), self._rough(view, geometry)
        return Surfaces(parameters, normal, emission, layers, grain, rough)

    def _grain(self, view: View, geometry: DeviceGeometry) -> torch.Tensor | None:
        seen = [(self.materials[row], part) for row, part in view.material_slices]
        tangent = geometry.grain_at(view) if any(material.anisotropic > 0.0 for material, _ in seen) else None
        if tangent is None:
            return None
        smooth = view.frames.smooth
        tangent = torch.linalg.cross(smooth, torch.linalg.cross(tangent, smooth))
        rows = torch.zeros((len(tangent), GRAIN_WIDTH), device=self.device)
        rows[:, :3] = tangent
        for material, part in seen:
            if material.anisotropic > 0.0:
                turn = 2.0 * np.pi * material.anisotropic_rotation
                aspect = np.sqrt(1.0 - 0.9 * min(material.anisotropic, 1.0))
                rows[part, 3:] = torch.tensor([aspect, np.cos(turn), np.sin(turn)], dtype=torch.float32).to(self.device)
        lost = (tangent * tangent).sum(1) <= 0.0  # no tangent, no grain
        rows[lost, 3] = 0.0
        return rows

    def _rough(self, view: View, geometry: DeviceGeometry) -> torch.Tensor | None:
        seen = [(self.materials[row].diffuse_roughness, part) for row, part in view.material_slices]
        if not any(socket.texture is not None or socket.value[0] > 0.0 for socket, _ in seen):
            return None
        points = view.face, view.barycentric
        parts = [self.socket_at(socket, 1, geometry, *(x[part] for x in points)) for socket, part in seen]
        return torch.cat(parts).clamp(0.0, 1.0)

    def _layers(self, view: View, geometry: DeviceGeometry) -> torch.Tensor | None:
        seen = [(self.materials[row], part) for row, part in view.material_slices]
        if not any(has_layers(material) for material, _ in seen):
            return None
        bent = any(material.coat_normal is not None for material, _ in seen)
        rows = []
        for material, part in seen:

            def value(socket: Socket, width: int, part: slice = part) -> torch.Tensor:
                if socket.texture is None:
                    return self._constant(socket, width)
                return self._sampled(socket.texture, width, self.texture_uv(socket.texture, view, geometry, part))

            row = layer_sockets(material, value).expand(part.stop - part.start, -1)
            rows.append(torch.cat([row, self._coat_normal(material, view, geometry, part)], dim=1) if bent else row)
        return torch.cat(rows)

    def _coat_normal(self, material: Material, view: View, geometry: DeviceGeometry, part: slice) -> torch.Tensor:
        """Normals [n, 3] of a material's coat."""
        coat = material.coat_normal
        if coat is None:
            return view.frames.smooth[part]
        mapped = self._lookup(coat.texture, self.texture_uv(coat.texture, view, geometry, part))
        return mapped_normal(mapped, coat.strength, view, part)

    def _block(
        self, material: Material, view: View, geometry: DeviceGeometry, part: slice
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        count = part.stop - part.start
        uv_cache: dict[tuple[int, bytes], torch.Tensor] = {}

        def uv_of(texture: Texture) -> torch.Tensor:
            key = self.uv_slot(texture), np.asarray(texture.uv_matrix, np.float32).tobytes()
            if key not in uv_cache:
                uv_cache[key] = self.texture_uv(texture, view, geometry, part)
            return uv_cache[key]

        fitted: dict[str, torch.Tensor] = {}
        for bundle in self.bundles:
            if bundle.material == material.name:
                texture = bundle.texture
                values = sample_texture(bundle.data, uv_of(texture), texture.extension, texture.interpolation)
                for target, (first, last) in bundle.channels.items():
                    fitted[target] = values[:, first:last]

        def colour_socket(socket: Socket, target: str | None = None) -> torch.Tensor:
            if target in fitted:
                return srgb_decode(fitted[target]) if target == "base_color" else fitted[target]
            if socket.texture is None:
                return self._constant(socket, 3).expand(count, 3)
            return self._sampled(socket.texture, 3, uv_of(socket.texture))

        def scalar_socket(socket: Socket, target: str | None = None) -> torch.Tensor:
            if target in fitted:
                return fitted[target]
            if socket.texture is None:
                return self._constant(socket, 1).expand(count, 1)
            return self._sampled(socket.texture, 1, uv_of(socket.texture))

        def unit(value: torch.Tensor) -> torch.Tensor:
            return value.clamp(0.0, 1.0)

        base = colour_socket(material.base_color, "base_color").clamp(min=0.0)
        metallic = unit(scalar_socket(material.metallic, "metallic"))
        if _is_any(material.subsurface):
            base = scattered(base, unit(scalar_socket(material.subsurface)) * (1.0 - metallic), view.frames, part)
        if _is_any(material.transmission):
            # glass is not diffuse; what it lets pass is seen behind it (transparency.py)
            base = base * (1.0 - unit(scalar_socket(material.transmission)) * (1.0 - metallic))
        parameters = torch.cat(
            [
                base,
                metallic,
                unit(scalar_socket(material.roughness, "roughness")),
                scalar_socket(material.ior).clamp(min=1.0),
                scalar_socket(material.specular_level).clamp(min=0.0),
                colour_socket(material.specular_tint).clamp(min=0.0),
                torch.full((count, 1), float(material.multiscatter), device=self.device),
            ],
            dim=1,
        )
        if "emission" in fitted:
            emission = fitted["emission"].clamp(min=0.0)
        else:
            emission = colour_socket(material.emission_color) * scalar_socket(material.emission_strength)
        mapped = fitted.get("normal")
        strength = 1.0
        if mapped is None and material.normal is not None:
            mapped = self._lookup(material.normal.texture, uv_of(material.normal.texture))
            strength = material.normal.strength
        normal = view.frames.smooth[part]
        if mapped is not None:
            normal = mapped_normal(mapped, strength, view, part)
        return parameters, normal, emission

    def _constant(self, socket: Socket, width: int) -> torch.Tensor:
        value = np.broadcast_to(np.asarray(socket.value, np.float32), (width,))
        return torch.from_numpy(value.copy()).to(self.device)[None]

    def _sampled(self, texture: Texture, width: int, uv: torch.Tensor) -> torch.Tensor:
        """Values [n, width] that a socket of 1 or 3 components takes from an image."""
        value = self._lookup(texture, uv)
        if width == 1 and value.shape[1] == 3:
            return value @ torch.tensor(LUMINANCE, device=self.device)[:, None]
        return value.expand(-1, width)

    def _lookup(self, texture: Texture, uv: torch.Tensor) -> torch.Tensor:
        """Decoded values [n, 3] (colour) or [n, 1] (one channel) of an image."""
        pixels = self.images[texture.image]
        value = sample_texture(pixels, uv, texture.extension, texture.interpolation)
        if texture.channel == 3:
            return value[:, 3:4]
        value = value[:, :3]
        if self.encodings[texture.image] == "sRGB":
            value = srgb_decode(value)
        return value if texture.channel is None else value[:, texture.channel : texture.channel + 1]

    def socket_at(
        self, socket: Socket, width: int, geometry: DeviceGeometry, face: torch.Tensor, weights: torch.Tensor
    ) -> torch.Tensor:
        """Values [N, width] of a socket at points of triangles `face` [N] with corner `weights` [N, 3]."""
        if socket.texture is None:
            return self._constant(socket, width).expand(len(face), width)
        uv = self._mapped(socket.texture, geometry.uv_at(self.uv_slot(socket.texture), face, weights))
        return self._sampled(socket.texture, width, uv)

    def table(self) -> MaterialArrays:
        """Materials as indirect light needs them for surfaces that rays meet."""
        table = MaterialTable(len(self.materials), self.device)
        fitted = {
            id(bundle): reduced(bundle.data, bundle.channels.get("base_color", (0, 0))) for bundle in self.bundles
        }
        for row, material in enumerate(self.materials):
            emission = material.emission_color.value * material.emission_strength.value
            paint = 1.0 - material.metallic.value
            constants = [
                *(material.base_color.value * (1.0 - material.transmission.value * paint)),
                *material.metallic.value, *material.roughness.value, *material.ior.value,
                *material.specular_level.value, *material.specular_tint.value, *np.broadcast_to(emission, 3),
                *self._mean_layers(row),
            ]  # fmt: skip
            glow, factor = self._emission(material)
            sockets = {
                "base_color": (BASE_COLOR, material.base_color),
                "metallic": (METALLIC, material.metallic),
                "roughness": (ROUGHNESS, material.roughness),
                "emission": (EMISSION, glow),
            }
            for target, (which, socket) in sockets.items():
                bundle = self.bundle_of(material.name, target)
                if bundle is not None:
                    value = fitted[id(bundle)][..., slice(*bundle.channels[target])]
                    live = target in ("base_color", "emission")
                    table.set_texture(row, which, value, bundle.texture, self.uv_slot(bundle.texture), live)
                    if target == "emission":
                        constants[10:13] = [1.0, 1.0, 1.0]
                elif socket.texture is not None:
                    value = self._reduced(socket.texture, scalar=len(socket.value) == 1)
                    table.set_texture(row, which, value, socket.texture, self.uv_slot(socket.texture))
                    if target == "emission":
                        constants[10:13] = list(np.broadcast_to(factor, 3))
            table.set_constants(row, np.array(constants, np.float32))
        return table.arrays()

    def live_textures(self, table: MaterialArrays) -> list[LiveTexture]:
        """Fitted textures that light samples may come from, as they were when `table` was made."""
        textures, live = table.textures.numpy(), table.live.numpy()
        pool = wp.to_torch(table.pool)

        def values(row: int, which: int) -> torch.Tensor | None:
            first, width, height = (int(number) for number in textures[row, which, :3])
            return None if first < 0 else pool[first : first + 3 * width * height].reshape(height, width, 3)

        found: list[tuple[int, LiveTexture]] = []
        rows = {material.name: row for row, material in enumerate(self.materials)}
        for number, bundle in enumerate(self.bundles):
            row = rows.get(bundle.material, -1)
            for target, which in (("base_color", BASE_COLOR), ("emission", EMISSION)):
                before = values(row, which) if target in bundle.channels and row >= 0 else None
                if before is None:
                    continue
                share = torch.ones_like(before)
                if target == "base_color":
                    metallic = values(row, METALLIC)
                    same = metallic is not None and metallic.shape == before.shape
                    share = share_of_base(table, row, before, metallic if same else None)
                texture = LiveTexture(number, bundle.channels[target], target == "base_color", before, share)
                found.append((int(live[row, which]), texture))
        return [texture for _, texture in sorted(found, key=lambda item: item[0])]

    def _emission(self, material: Material) -> tuple[Socket, np.ndarray]:
        """The socket whose texture indirect light looks up for emission, and what to multiply it with: where colour and
        strength both have one, the strength's mean."""
        color, strength = material.emission_color, material.emission_strength
        if strength.texture is None:
            return color, strength.value
        if color.texture is None:
            return strength, color.value
        return color, self._reduced(strength.texture, scalar=True).mean((0, 1)).cpu().numpy()

    def _mean_layers(self, row: int) -> np.ndarray:
        """Layer sockets of a material as indirect light takes them: a texture counts as its mean."""
        if row not in self._layer_means:

            def value(socket: Socket, width: int) -> torch.Tensor:
                if socket.texture is None:
                    return self._constant(socket, width)
                return self._reduced(socket.texture, width == 1).mean((0, 1)).expand(1, width)

            self._layer_means[row] = layer_sockets(self.materials[row], value)[0].cpu().numpy()
        return self._layer_means[row]

    def _reduced(self, texture: Texture, scalar: bool) -> torch.Tensor:
        encoded = (0, 3) if self.encodings[texture.image] == "sRGB" else (0, 0)
        value = reduced(self.images[texture.image], encoded)
        if texture.channel is not None:
            return value[..., texture.channel : texture.channel + 1]
        value = value[..., :3]
        return value @ torch.tensor(LUMINANCE, device=self.device)[:, None] if scalar else value


def _textures_of(material: Material) -> list[Texture]:
    sockets = [value for value in vars(material).values() if isinstance(value, Socket)]
    textures = [socket.texture for socket in sockets if socket.texture is not None]
    maps = [material.normal, material.coat_normal]
    return textures + [normal.texture for normal in maps if normal is not None]

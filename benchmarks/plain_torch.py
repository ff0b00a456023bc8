# SPDX-License-Identifier: GPL-3.0-or-later
"""The rendering primitives in plain torch, as one would write them without kernels: what benchmarks.ops compares with.

One image, no clipping, no rounding of vertices; gradients by autograd.
"""

from __future__ import annotations

import torch


def edges_of(tri: torch.Tensor) -> torch.Tensor:
    """[T, 3, 2]: for the edge opposite to each vertex the other triangle's index (or -1), and whether both run along
    the edge in the same direction."""
    begin, end = tri[:, [1, 2, 0]].reshape(-1).long(), tri[:, [2, 0, 1]].reshape(-1).long()
    key, order = (torch.minimum(begin, end) * (int(tri.max()) + 1) + torch.maximum(begin, end)).sort(stable=True)
    pair = (key[1:] == key[:-1]).nonzero()[:, 0]
    result = torch.full((len(key), 2), -1)
    first, second = order[pair], order[pair + 1]
    same = ((begin < end)[first] == (begin < end)[second]).long()
    result[first] = torch.stack([second // 3, same], 1)
    result[second] = torch.stack([first // 3, same], 1)
    return result.view(-1, 3, 2)


class Plain:
    """The ops for one set of triangles and one image size (height, width)."""

    def __init__(self, tri: torch.Tensor, resolution: tuple[int, int]) -> None:
        self.tri = tri.long()
        self.height, self.width = resolution
        y, x = torch.meshgrid(torch.arange(self.height), torch.arange(self.width), indexing="ij")
        self.centres = torch.stack([(2 * x + 1) / self.width - 1, (2 * y + 1) / self.height - 1], -1)
        self.half = torch.tensor([self.width, self.height]) / 2

    def rasterize(self, pos: torch.Tensor) -> torch.Tensor:
        """(u, v, z/w, id) [1, H, W, 4]: every pixel of every triangle's bounding box is a candidate, and the nearest
        one inside wins."""
        with torch.no_grad():
            corners = pos[0, self.tri]
            pixels = (corners[..., :2] / corners[..., 3:] + 1) * self.half - 0.5
            low = pixels.amin(1).ceil().clamp(min=0).long()
            high = torch.minimum(pixels.amax(1).floor().long(), torch.tensor([self.width - 1, self.height - 1]))
            size = (high - low + 1).clamp(min=0)
            count = size.prod(1)
            owner = torch.repeat_interleave(torch.arange(len(self.tri)), count)
            within = torch.arange(len(owner)) - (count.cumsum(0) - count)[owner]
            x = low[owner, 0] + within % size[owner, 0]
            y = low[owner, 1] + within // size[owner, 0]
            weights, depth = self._weigh(corners[owner], self.centres[y, x])
            inside = (weights >= 0).all(1)
            place, owner = (y * self.width + x)[inside], owner[inside]
            key = ((depth[inside].double() + 1) * 2**30).long() << 24 | (2**24 - 1 - owner)
            nearest = torch.full((self.height * self.width,), 2**62)
            nearest.scatter_reduce_(0, place, key, "amin")
            covered = (nearest < 2**62).nonzero()[:, 0]
            owner = 2**24 - 1 - (nearest[covered] & (2**24 - 1))
        weights, depth = self._weigh(pos[0, self.tri[owner]], self.centres.view(-1, 2)[covered])
        values = torch.stack([weights[:, 0], weights[:, 1], depth.detach(), owner + 1.0], 1)
        image = torch.zeros(self.height * self.width, 4).index_copy(0, covered, values)
        return image.view(1, self.height, self.width, 4)

    def _weigh(self, corners: torch.Tensor, centres: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        moved = corners[..., :2] - centres[:, None] * corners[..., 3:]
        x, y = moved.unbind(-1)
        area = x.roll(-1, 1) * y.roll(-2, 1) - y.roll(-1, 1) * x.roll(-2, 1)
        weights = area / area.sum(1, keepdim=True)
        return weights, (weights * corners[..., 2]).sum(1) / (weights * corners[..., 3]).sum(1)

    def interpolate(self, attr: torch.Tensor, rast: torch.Tensor) -> torch.Tensor:
        """[1, H, W, A]"""
        ids = rast[0, ..., 3].long()
        weights = torch.cat([rast[0, ..., :2], 1 - rast[0, ..., :2].sum(-1, keepdim=True)], -1)
        values = (attr[0, self.tri[(ids - 1).clamp(min=0)]] * weights[..., None]).sum(-2)
        return (values * (ids > 0)[..., None])[None]

    def mip_levels(self, tex: torch.Tensor) -> list[torch.Tensor]:
        """All levels from 0 on, each the mean of 2 x 2 texels of the one before; sides are equal powers of two."""
        levels = [tex]
        while levels[-1].shape[1] > 1:
            smaller = torch.nn.functional.avg_pool2d(levels[-1].permute(0, 3, 1, 2), 2)
            levels.append(smaller.permute(0, 2, 3, 1))
        return levels

    def trilinear(self, levels: list[torch.Tensor], uv: torch.Tensor, uv_da: torch.Tensor) -> torch.Tensor:
        """Lookup with repeated coordinates, blended between two levels by the longer axis of the footprint."""
        size, channels = levels[0].shape[1], levels[0].shape[3]
        texels = torch.cat([level.reshape(-1, channels) for level in levels])
        sides = torch.tensor([level.shape[1] for level in levels])
        starts = (sides * sides).cumsum(0) - sides * sides
        a = (uv_da[..., 0::2] ** 2).sum(-1) * size**2
        b = (uv_da[..., 1::2] ** 2).sum(-1) * size**2
        c = (uv_da[..., 0::2] * uv_da[..., 1::2]).sum(-1) * size**2
        square = (a + b + ((a - b) ** 2 + 4 * c * c).sqrt()) / 2
        level = (0.5 * torch.log2(square.clamp(min=1e-30))).clamp(0, len(levels) - 1)
        lower = level.floor().long().clamp(max=len(levels) - 2)
        out = torch.zeros(*uv.shape[:3], channels)
        for k, share in ((lower, 1 - (level - lower)), (lower + 1, level - lower)):
            side, start = sides[k], starts[k]
            place = (uv - uv.floor()) * side[..., None] - 0.5
            base = place.floor()
            fraction = place - base
            for dx in (0, 1):
                for dy in (0, 1):
                    x = (base[..., 0].long() + dx) % side
                    y = (base[..., 1].long() + dy) % side
                    weight = (fraction[..., 0] if dx else 1 - fraction[..., 0]) * share
                    weight = weight * (fraction[..., 1] if dy else 1 - fraction[..., 1])
                    out = out + weight[..., None] * texels[start + y * side + x]
        return out

    def antialias(
        self, color: torch.Tensor, rast: torch.Tensor, pos: torch.Tensor, edges: torch.Tensor
    ) -> torch.Tensor:
        """Blend pixel pairs across silhouettes; ``edges`` from edges_of."""
        ids, depth = rast[0, ..., 3].long(), rast[0, ..., 2]
        screen = (pos[0, :, :2] / pos[0, :, 3:] + 1) * self.half - 0.5
        with torch.no_grad():
            p = screen[self.tri].double()
            u, v = p[:, 1] - p[:, 0], p[:, 2] - p[:, 0]
            sign = torch.sign(u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0])
            other = sign[edges[..., 0]] * torch.where(edges[..., 1] == 1, 1, -1)
            silhouette = (edges[..., 0] < 0) | (other == sign[:, None])
        flat, out = color.reshape(-1, color.shape[-1]), color.reshape(-1, color.shape[-1]).clone()
        index = torch.arange(ids.numel()).view(ids.shape)
        for axis in (0, 1):  # along x, along y
            one = (index[:, :-1] if axis == 0 else index[:-1]).reshape(-1)
            two = (index[:, 1:] if axis == 0 else index[1:]).reshape(-1)
            different = (ids.view(-1)[one] != ids.view(-1)[two]).nonzero()[:, 0]
            one, two = one[different], two[different]
            i, j = ids.view(-1)[one], ids.view(-1)[two]
            second = (i == 0) | ((j > 0) & (depth.view(-1)[two] < depth.view(-1)[one]))
            own, far = torch.where(second, two, one), torch.where(second, one, two)
            toward = torch.where(second, -1.0, 1.0)
            t = torch.where(second, j, i) - 1
            keep = silhouette[t].any(1)
            own, far, toward, t = own[keep], far[keep], toward[keep], t[keep]
            centre = torch.stack([own % self.width, own // self.width], 1).float()
            for k in range(3):
                a = screen[self.tri[t, (k + 1) % 3]] - centre
                b = screen[self.tri[t, (k + 2) % 3]] - centre
                along, across = (b - a)[:, axis], (b - a)[:, 1 - axis]
                leaving = toward * sign[t] * (1 if axis == 0 else -1) * across > 0
                crossed = (a[:, 1 - axis] >= 0) != (b[:, 1 - axis] >= 0)
                d = toward * (a[:, axis] - a[:, 1 - axis] * along / torch.where(across == 0, 1.0, across))
                found = silhouette[t, k] & leaving & crossed & (across.abs() >= along.abs())
                n = (found & (d >= -1 / 16) & (d <= 17 / 16)).nonzero()[:, 0]
                place = d[n].clamp(0, 1)
                mine, theirs = flat[own[n]], flat[far[n]]
                out = out.index_add(0, own[n], (0.5 - place).clamp(min=0)[:, None] * (theirs - mine))
                out = out.index_add(0, far[n], (place - 0.5).clamp(min=0)[:, None] * (mine - theirs))
        return out.view(color.shape)

    def sample(self, tex: torch.Tensor, uv: torch.Tensor) -> torch.Tensor:
        """Bilinear lookup [P, C] in a texture [H, W, C] that ends in its border texels."""
        found = torch.nn.functional.grid_sample(
            tex.permute(2, 0, 1)[None], (2 * uv - 1)[None, None], padding_mode="border", align_corners=False
        )
        return found[0, :, 0].T

# SPDX-License-Identifier: GPL-3.0-or-later
"""Draw docs/images/kernels.png: what the ops give for a bent torus. ``python scripts/draw_kernels.py``"""

from pathlib import Path

import torch
from PIL import Image, ImageDraw

from likeness.engine import ops

SIZE, RINGS, TUBE, ARROW = 240, 48, 24, 22.0
TARGET = Path(__file__).parents[1] / "docs" / "images" / "kernels.png"


def torus() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Clip positions [1, V, 4], triangles [T, 3], texture coordinates [1, V, 2]."""
    ring, tube = torch.meshgrid(torch.linspace(0, 1, RINGS + 1), torch.linspace(0, 1, TUBE + 1), indexing="ij")
    a, b = 2 * torch.pi * ring, 2 * torch.pi * tube
    radius = 0.8 + 0.3 * b.cos()
    points = torch.stack([radius * a.cos(), radius * a.sin(), 0.3 * b.sin() + 0.25 * (2 * a).cos()], -1).reshape(-1, 3)
    turn = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.6, -0.8], [0.0, 0.8, 0.6]])
    world = points @ turn.T
    depth = 4.0 - world[:, 2]
    pos = torch.stack([2.7 * world[:, 0], 2.7 * world[:, 1], 1.1 * depth - 2.1, depth], 1)[None]
    corner = (torch.arange(RINGS)[:, None] * (TUBE + 1) + torch.arange(TUBE)).reshape(-1)
    first = torch.stack([corner, corner + TUBE + 1, corner + 1], 1)
    second = torch.stack([corner + 1, corner + TUBE + 1, corner + TUBE + 2], 1)
    uv = torch.stack([ring * 8, tube * 4], -1).reshape(1, -1, 2)
    return pos.contiguous(), torch.cat([first, second]).int(), uv.contiguous()


def picture(panel: torch.Tensor) -> Image.Image:
    """Of values [SIZE, SIZE, 3] whose row 0 is the bottom."""
    return Image.fromarray((panel.detach().clamp(0, 1) * 255).byte().flip(0).numpy())


def pulled(pos: torch.Tensor, tri: torch.Tensor) -> Image.Image:
    """The mesh (grey) before where it should be (orange), and where descent pulls its vertices."""
    moved = pos + pos[..., 3:] * torch.tensor([0.08, 0.05, 0.0, 0.0])
    mask, target = (
        (ops.rasterize(ops.RasterizeContext(), p.contiguous(), tri, (SIZE, SIZE))[0][..., 3:] > 0).float()
        for p in (pos, moved)
    )
    free = pos.clone().requires_grad_(True)
    rast, _ = ops.rasterize(ops.RasterizeContext(), free, tri, (SIZE, SIZE))
    (ops.silhouette_gradient(mask, rast, free, tri) - target).square().sum().backward()
    assert free.grad is not None
    panel = 0.1 + 0.35 * mask[0] + (target - mask).clamp(min=0)[0] * torch.tensor([0.7, 0.35, 0.0])
    image = picture(panel.expand(SIZE, SIZE, 3))
    draw = ImageDraw.Draw(image)
    depth = pos[0, :, 3:]
    places = (pos[0, :, :2] / depth * 0.5 + 0.5) * SIZE
    forces = -free.grad[0, :, :2] * depth
    forces = forces * ARROW / float(forces.norm(dim=1).max())
    for (x, y), (dx, dy) in zip(places.tolist(), forces.tolist(), strict=True):
        if dx * dx + dy * dy > 1.0:
            draw.line([x, SIZE - y, x + dx, SIZE - y - dy], fill=(120, 220, 255), width=1)
    return image


def main() -> None:
    """Four panels: u and v of ``rast``, interpolated texture coordinates, textured, what pulls the mesh."""
    pos, tri, uv = torus()
    rast, rast_db = ops.rasterize(ops.RasterizeContext(), pos, tri, (SIZE, SIZE))
    found, uv_da = ops.interpolate(uv, rast, tri, rast_db, diff_attrs="all")
    squares = torch.tensor([[0.9, 0.2], [0.25, 0.7]]).repeat_interleave(16, 0).repeat_interleave(16, 1)
    tex = torch.stack([squares, 0.7 * squares + 0.1, 0.4 * squares.T + 0.2], -1)[None].contiguous()
    covered = (rast[..., 3:] > 0).float()
    textured = ops.antialias(ops.texture(tex, found, uv_da) * covered, rast, pos, tri)
    zero = torch.zeros_like(covered)
    panels = [
        picture(torch.cat([rast[..., :2], zero], -1)[0]),
        picture(torch.cat([found % 1.0, zero], -1)[0] * covered[0]),
        picture(textured[0]),
        pulled(pos, tri),
    ]
    sheet = Image.new("RGB", (len(panels) * SIZE, SIZE))
    for place, panel in enumerate(panels):
        sheet.paste(panel, (place * SIZE, 0))
    sheet.save(TARGET, optimize=True)


if __name__ == "__main__":
    main()

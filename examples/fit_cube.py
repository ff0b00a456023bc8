# SPDX-License-Identifier: GPL-3.0-or-later
"""Recover the vertices and colours of a cube from pictures of it: a complete use of likeness.engine.ops."""

import torch

from likeness.engine import ops

CORNERS = torch.tensor([[x, y, z] for z in (-0.5, 0.5) for y in (-0.5, 0.5) for x in (-0.5, 0.5)])
FACES = [[0, 2, 3, 1], [4, 5, 7, 6], [0, 1, 5, 4], [2, 6, 7, 3], [0, 4, 6, 2], [1, 3, 7, 5]]
TRIANGLES = torch.tensor([[f[0], f[i], f[i + 1]] for f in FACES for i in (1, 2)], dtype=torch.int32)
COLOURS = CORNERS + 0.5  # red, green and blue are x, y and z
PROJECTION = torch.tensor([[2.4, 0, 0, 0], [0, 2.4, 0, 0], [0, 0, -1.22, -2.22], [0, 0, -1, 0]])
context = ops.RasterizeContext()


def turns(count: int) -> torch.Tensor:
    """Random model-view-projection matrices [count, 4, 4]: any rotation, seen from a distance of 3."""
    view = torch.eye(4).repeat(count, 1, 1)
    view[:, :3, :3] = torch.linalg.qr(torch.randn(count, 3, 3))[0]
    view[:, 2, 3] = -3.0
    return PROJECTION @ view


def render(matrices: torch.Tensor, corners: torch.Tensor, colours: torch.Tensor, size: int = 48) -> torch.Tensor:
    """Pictures [N, size, size, 3] on black."""
    pos = (torch.nn.functional.pad(corners, (0, 1), value=1.0) @ matrices.mT).contiguous()
    rast, _ = ops.rasterize(context, pos, TRIANGLES, (size, size))
    image, _ = ops.interpolate(colours[None], rast, TRIANGLES)
    return ops.silhouette_gradient(image, rast, pos, TRIANGLES)


def main(steps: int = 400) -> float:
    """Fit from a wrong start; prints and returns the mean distance of the vertices from the true ones."""
    torch.manual_seed(0)
    corners = (CORNERS + 0.25 * torch.randn(8, 3)).requires_grad_(True)
    colours = torch.full((8, 3), 0.5).requires_grad_(True)
    optimizer = torch.optim.Adam([corners, colours], lr=0.02, betas=(0.9, 0.95))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for step in range(steps + 1):
        if step % 100 == 0:
            error = float((corners - CORNERS).detach().norm(dim=1).mean())
            off = float((colours - COLOURS).detach().abs().mean())
            print(f"step {step}: vertices off by {error:.4f}, colours by {off:.4f}")
        matrices = turns(8)
        loss = (render(matrices, corners, colours) - render(matrices, CORNERS, COLOURS)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return error


if __name__ == "__main__":
    main()

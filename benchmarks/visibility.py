# SPDX-License-Identifier: GPL-3.0-or-later
"""Gradients of visibility on coarse and dense meshes: d(sum of the weighted squares of a 256² picture) / d(translation,
scale, rotation) of a sphere and of a bent torus by silhouette_gradient, the largest relative error of the three against
central differences of pictures that are supersampled 16 x 16 times, and what is left without the edges."""

from __future__ import annotations

import time

from tests.engine.ops import dense_meshes

from .figures import Figure, at_most, show

SIZE = 256
TRIANGLES = (320, 5_000, 80_000, 320_000)


def measure() -> list[Figure]:
    """A figure a mesh."""
    figures = []
    for shape in (dense_meshes.sphere, dense_meshes.bent_torus):
        for count in TRIANGLES:
            points, tri = shape(count)
            expected = dense_meshes.differences(points, tri, SIZE)
            dense_meshes.analytic(points, tri, SIZE)
            start = time.perf_counter()
            found = dense_meshes.analytic(points, tri, SIZE)
            seconds = time.perf_counter() - start
            without = dense_meshes.analytic(points, tri, SIZE, edges=False)
            name = shape.__name__.replace("_", " ")
            what = (
                f"{name}, {count} triangles ({seconds * 1000:.0f} ms forward and backward; "
                f"without edges {100 * dense_meshes.worst(without, expected):.0f} %)"
            )
            figures += show([at_most(what, 100 * dense_meshes.worst(found, expected), 5, "%")])
    return figures


if __name__ == "__main__":
    measure()

# SPDX-License-Identifier: GPL-3.0-or-later
"""What one iteration of a fit costs, part by part: one 512² view of about 80 000 triangles, four 1024² textures, an
area light and an environment, 16 light samples a pixel. ``python -m benchmarks.iteration``"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import bpy
import numpy as np
import torch

from likeness.bridge.read_scene import read_scene
from likeness.engine.color import ViewTransform
from likeness.engine.fit import COUNTS
from likeness.engine.losses import material_prior, photo_loss
from likeness.engine.parameters import Parameters
from likeness.engine.photo_views import PhotoPyramid, ViewCache
from likeness.engine.render import Renderer
from likeness.engine.result import MATERIAL_TARGETS
from likeness.engine.scene import Photo, Scene
from likeness.engine.view import apply_filter
from tests.scenes import build, still_life
from tests.scenes.catalogue import normal_pixels

from .figures import Figure, at_most, note, show

SIZE, TEXTURE_SIZE, REPEATS = 512, 1024, 5
CAMERA = still_life.CAMERAS[1]


class Stopwatch:
    """Wall-clock and processor time of named parts, in milliseconds. Processor time (all threads together) tells what a
    part costs on a machine that is busy with other things."""

    def __init__(self) -> None:
        self.milliseconds: dict[str, list[float]] = defaultdict(list)
        self.processor: dict[str, list[float]] = defaultdict(list)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        start, busy = time.perf_counter(), time.process_time()
        yield
        self.milliseconds[name].append((time.perf_counter() - start) * 1000)
        self.processor[name].append((time.process_time() - busy) * 1000)

    def median(self, name: str) -> float:
        """Wall-clock median; the first run compiles and allocates and does not count."""
        return float(np.median(self.milliseconds[name][1:]))


def scene_of_80k_triangles(change: Callable[[], None] | None = None) -> Scene:
    """The pot without its table, close to the camera, with a normal map as fourth texture; ``change`` may alter it."""
    still_life.build_still_life(still_life.true_maps(TEXTURE_SIZE))
    bpy.data.objects.remove(bpy.data.objects["Table"])
    bpy.data.objects[CAMERA].data.lens = 88.0
    tree = bpy.data.materials[still_life.GLAZE].node_tree
    texture, normal_map = tree.nodes.new("ShaderNodeTexImage"), tree.nodes.new("ShaderNodeNormalMap")
    texture.image = build.add_image("Normal", normal_pixels(TEXTURE_SIZE, slope=0.2), "Non-Color")
    tree.links.new(texture.outputs["Color"], normal_map.inputs["Color"])
    tree.links.new(normal_map.outputs["Normal"], tree.nodes["Principled BSDF"].inputs["Normal"])
    if change is not None:
        change()
    scene = read_scene(bpy.context.scene)
    grey = np.full((SIZE, SIZE, 3), 0.4, np.float32)
    scene.photos = [Photo(CAMERA, "", name="Grey", pixels=grey, full_size=(SIZE, SIZE))]
    return scene


def measure() -> list[Figure]:
    """Time the parts of an iteration while geometry and lights stand still, and while they move."""
    scene = scene_of_80k_triangles()
    watch = Stopwatch()
    with watch.part("set-up"):
        renderer = Renderer(scene, "cpu")
    chosen = {kind: [still_life.GLAZE] for kind in MATERIAL_TARGETS if kind != "emission"}
    parameters = Parameters.of(renderer, chosen, TEXTURE_SIZE)
    renderer.bank.bundles = parameters.bundles
    optimizer = torch.optim.Adam([bundle.data for bundle in parameters.bundles], lr=1e-3, fused=True)
    photo = PhotoPyramid(scene, scene.photos[0], "cpu")
    level = photo.level(0)
    view_transform = ViewTransform(scene.view, "cpu")
    cache = ViewCache(renderer, [photo], COUNTS)
    generator = torch.Generator().manual_seed(0)
    positions = torch.from_numpy(renderer.geometry.positions)

    for repeat in range(REPEATS + 1):
        with watch.part("renewal of the ray tree"):
            renderer.geometry.rays.update(positions)
        with watch.part("rasterize and gather light samples"):
            cache.clear()
            world = renderer.world(environment_fixed=not parameters.world_is_free())
            cached = cache.get(0, 0, (0.1, -0.2), world, repeat)
        view = cached.view
        with watch.part("textures and material"):
            surfaces = renderer.bank.surfaces(view, renderer.corners)
        with watch.part("shading"):
            covered = renderer.radiance(view, surfaces, parameters.light_color(), parameters.environment())
        with watch.part("filter, view transform, loss"):
            cells = torch.zeros((view.height * view.width, 3)).index_copy(0, view.cell, covered)
            image = apply_filter(cells.reshape(view.height, view.width, 3), cached.across, cached.up, 1)
            loss = photo_loss(view_transform(image), level.target, level.weight)
        with watch.part("priors"):
            loss = loss + material_prior(renderer.bank, view, renderer.corners, generator)
        with watch.part("backward"):
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
        with watch.part("step"):
            optimizer.step()
            parameters.project()

    moving = ("renewal of the ray tree", "rasterize and gather light samples")
    medians = {name: watch.median(name) for name in watch.milliseconds if name != "set-up"}
    triangles = sum(len(mesh.triangles) for mesh in scene.meshes)
    print(
        f"  {triangles} triangles, {len(view.face)} of {SIZE}x{SIZE} pixels covered, {torch.get_num_threads()} threads"
    )
    for name, milliseconds in medians.items():
        print(f"  {name:36s} {milliseconds:7.1f} ms, processor {np.median(watch.processor[name][1:]):7.1f} ms")
    still = sum(value for name, value in medians.items() if name not in moving)
    parts = ", ".join(f"{name} {value:.0f}" for name, value in medians.items())
    return show(
        [
            at_most("one iteration, geometry and lights still", still, 300, "ms", 0),
            at_most("one iteration, geometry and lights moving", sum(medians.values()), 900, "ms", 0),
            note("parts of an iteration in ms", parts),
        ]
    )


if __name__ == "__main__":
    measure()

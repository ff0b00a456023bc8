# SPDX-License-Identifier: GPL-3.0-or-later
"""What light falls on surfaces in the long run: a tree over surface points whose leaves hold irradiance.

A leaf covers neighbouring points with similar normals, as few as there are paths to tell about them: leaves are small
where paths end often and large in the distance. Every point of the scene falls into some leaf.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import warp as wp

from ..ops.launch import launch

# A node is divided while it has at least twice as many points, at most this often in a row.
LEAF = 8
_DEPTH = 32
# The mean of a leaf includes that of its parent with the weight of so many points: a few leaves have hardly any.
_FROM_PARENT = 2.0


@wp.struct
class CacheArrays:
    """Nodes of the tree. `axis` 0 to 2: position, 3 to 5: normal, -1: a leaf. What lies below `split` goes to the node
    `child`, the rest to the next one."""

    count: int  # 0: no cache
    axis: wp.array(dtype=wp.int32)
    split: wp.array(dtype=wp.float32)
    child: wp.array(dtype=wp.int32)
    # radiance that a white matte surface would reflect there, of light that may yet be reflected as often as diffuse
    # and as glossy reflection allows
    diffuse: wp.array(dtype=wp.vec3)
    glossy: wp.array(dtype=wp.vec3)


@wp.func
def leaf_of(cache: CacheArrays, position: wp.vec3, normal: wp.vec3):
    """The node that a surface point belongs to; `normal` is the shading normal on its lit side."""
    node = int(0)
    axis = cache.axis[0]
    while axis >= 0:
        value = position[wp.min(axis, 2)] if axis < 3 else normal[wp.max(axis - 3, 0)]
        beyond = value >= cache.split[node]
        node = cache.child[node]
        if beyond:
            node += 1
        axis = cache.axis[node]
    return node


@wp.kernel(enable_backward=False)
def _divide_kernel(
    start: int,
    slot: int,
    position: wp.array(dtype=wp.vec3),
    normal: wp.array(dtype=wp.vec3),
    by_spread: float,
    begin: wp.array(dtype=wp.int32),
    end: wp.array(dtype=wp.int32),
    order: wp.array(dtype=wp.int32),
    axis: wp.array(dtype=wp.int32),
    split: wp.array(dtype=wp.float32),
    middle: wp.array(dtype=wp.int32),
):
    """Cuts the nodes of a level at their mean along the axis in which their points order[begin … end - 1] differ most,
    and puts those below the cut first."""
    k = start + wp.tid()
    low = int(begin[k])
    high = int(end[k])
    least = position[order[low]]
    most = position[order[low]]
    least_normal = normal[order[low]]
    most_normal = normal[order[low]]
    total = wp.vec3(0.0, 0.0, 0.0)
    total_normal = wp.vec3(0.0, 0.0, 0.0)
    for j in range(low, high):
        p = position[order[j]]
        n = normal[order[j]]
        least = wp.min(least, p)
        most = wp.max(most, p)
        least_normal = wp.min(least_normal, n)
        most_normal = wp.max(most_normal, n)
        total += p
        total_normal += n
    chosen = int(-1)
    widest = float(1.0e-5)
    for c in range(3):
        if (most[c] - least[c]) * by_spread > widest:
            widest = (most[c] - least[c]) * by_spread
            chosen = c
        if most_normal[c] - least_normal[c] > widest:
            widest = most_normal[c] - least_normal[c]
            chosen = c + 3
    cut = float(0.0)
    if chosen >= 3:
        cut = total_normal[chosen - 3] / float(high - low)
        cut = wp.clamp(cut, least_normal[chosen - 3], most_normal[chosen - 3])
    elif chosen >= 0:
        cut = wp.clamp(total[chosen] / float(high - low), least[chosen], most[chosen])
    if chosen >= 0:
        while low < high:
            i = order[low]
            value = position[i][wp.min(chosen, 2)] if chosen < 3 else normal[i][wp.max(chosen - 3, 0)]
            if value < cut:
                low += 1
            else:
                high -= 1
                order[low] = order[high]
                order[high] = i
    axis[k] = chosen
    split[k] = cut
    middle[k] = low


@dataclass
class Tree:
    """A tree over points with its K nodes."""

    axis: torch.Tensor  # [K] int32
    split: torch.Tensor  # [K] float32
    child: torch.Tensor  # [K] int32
    parent: torch.Tensor  # [K] int64

    @classmethod
    def over(cls, position: torch.Tensor, normal: torch.Tensor) -> Tree:
        """A tree over points [N, 3] with unit normals [N, 3]; N is not 0.

        A turn by a radian counts as much as a distance of the points' median deviation.
        """
        device = str(position.device)
        spread = (position - position.median(0).values).abs().median(0).values.max()
        order = torch.arange(len(position), dtype=torch.int32, device=position.device)
        points = [wp.from_torch(position, dtype=wp.vec3), wp.from_torch(normal, dtype=wp.vec3)]
        points.append(1.0 / max(float(spread), 1e-12))
        ranges = np.array([[0, len(position)]], np.int32)
        columns: list[list[np.ndarray]] = [[], [], [], [np.zeros(1, np.int64)]]
        first = 0
        for level in range(_DEPTH):
            axis, split, child = np.full(len(ranges), -1, np.int32), np.zeros(len(ranges), np.float32), None
            large = np.flatnonzero(ranges[:, 1] - ranges[:, 0] >= 2 * LEAF) if level + 1 < _DEPTH else np.zeros(0, int)
            begin, end = (wp.array(ranges[large, side], dtype=wp.int32, device=device) for side in (0, 1))
            found = [wp.zeros(len(large), dtype=kind, device=device) for kind in (wp.int32, wp.float32, wp.int32)]
            if len(large):
                inputs = [*points, begin, end, wp.from_torch(order), *found]
                launch(_divide_kernel, len(large), inputs, device)
            axis[large], split[large], middle = (column.numpy() for column in found)
            divided = np.flatnonzero(axis >= 0)
            middle = middle[axis[large] >= 0]
            child = np.full(len(ranges), -1, np.int32)
            child[divided] = first + len(ranges) + 2 * np.arange(len(divided))
            for column, values in zip(columns, (axis, split, child, np.repeat(divided + first, 2)), strict=True):
                column.append(values)
            if len(divided) == 0:
                break
            first += len(ranges)
            halves = [[ranges[divided, 0], middle], [middle, ranges[divided, 1]]]
            ranges = np.stack([np.stack(half, 1) for half in halves], 1).reshape(-1, 2)
        return cls(*(torch.from_numpy(np.concatenate(column)).to(position.device) for column in columns))

    def arrays(self, diffuse: torch.Tensor, glossy: torch.Tensor) -> CacheArrays:
        """Views for kernels, with the radiance [K, 3] of the leaves, see CacheArrays."""
        arrays = CacheArrays()
        arrays.count = len(self.axis)
        arrays.axis = wp.from_torch(self.axis)
        arrays.split = wp.from_torch(self.split)
        arrays.child = wp.from_torch(self.child)
        arrays.diffuse = wp.from_torch(diffuse, dtype=wp.vec3)
        arrays.glossy = wp.from_torch(glossy, dtype=wp.vec3)
        return arrays

    def means(self, leaf: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        """Mean values [K, 3] of leaves whose points [N] with values [N, 3] belong to the nodes `leaf` [N] int64."""
        nodes = len(self.axis)
        total = torch.zeros((nodes, 3), dtype=torch.float64, device=values.device)
        total.index_add_(0, leaf, values.double())
        count = torch.bincount(leaf, minlength=nodes)[:, None].double()
        family = torch.zeros_like(total).index_add_(0, self.parent, total)
        members = torch.zeros_like(count).index_add_(0, self.parent, count)
        above = (family / members.clamp(min=1))[self.parent]
        return ((total + _FROM_PARENT * above) / (count + _FROM_PARENT)).float()

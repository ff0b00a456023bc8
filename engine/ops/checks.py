# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of the arguments of the ops: TypeError for a wrong kind, ValueError for a wrong shape, device or index.

Every message begins with the name of the argument.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

INT32_MAX = 2**31 - 1  # kernels index with int32
MAX_TRIANGLES = 2**24  # ids are stored as float32


def check_tensor(
    name: str,
    tensor: object,
    shape: Sequence[int | None],
    dtype: torch.dtype = torch.float32,
    device: torch.device | None = None,
) -> torch.Tensor:
    """The tensor, contiguous, if it has this type, shape (None: any size) and device."""
    if not isinstance(tensor, torch.Tensor):
        raise TypeError(f"{name} must be a torch tensor, not {type(tensor).__name__}")
    if tensor.dtype != dtype:
        raise TypeError(f"{name} must be {_word(dtype)}, not {_word(tensor.dtype)}")
    same = len(shape) == tensor.dim() and all(s is None or s == t for s, t in zip(shape, tensor.shape, strict=True))
    if not same:
        wanted = ", ".join("*" if s is None else str(s) for s in shape)
        raise ValueError(f"{name} must have the shape [{wanted}], not {list(tensor.shape)}")
    if tensor.device.type not in ("cpu", "cuda"):
        raise ValueError(f"{name} is on the device {tensor.device}; the ops run on cpu and cuda")
    if device is not None and tensor.device != device:
        raise ValueError(f"{name} is on {tensor.device} but the other arguments are on {device}")
    if tensor.numel() > INT32_MAX:
        raise ValueError(f"{name} has more than 2**31 - 1 values")
    return tensor.contiguous()


def check_triangles(tri: object, vertices: int, device: torch.device) -> torch.Tensor:
    """``tri`` as contiguous int32 [T, 3] whose indices are below ``vertices``."""
    tensor = check_tensor("tri", tri, (None, 3), torch.int32, device)
    if tensor.shape[0] >= MAX_TRIANGLES:
        raise ValueError(f"tri has {tensor.shape[0]} triangles; ids are float32 and allow {MAX_TRIANGLES - 1}")
    if tensor.numel():
        # numpy on the CPU: torch would wake its threads for 50 µs of work
        indices = tensor.numpy() if device.type == "cpu" else tensor
        low, high = int(indices.min()), int(indices.max())
        if low < 0 or high >= vertices:
            raise ValueError(f"tri refers to the vertices {low} to {high}, but there are {vertices}")
    return tensor


def check_spans(ranges: object, triangles: int, images: int) -> torch.Tensor:
    """(First triangle, count) of each image, int32 [N, 2] on the CPU; all triangles of each without ``ranges``."""
    if ranges is None:
        return torch.tensor([0, triangles], dtype=torch.int32).expand(images, 2).contiguous()
    # as in nvdiffrast, ranges may stay on the CPU
    spans = check_tensor("ranges", ranges, (None, 2), torch.int32).cpu()
    first, count = spans.long().unbind(1)
    if bool(((first < 0) | (count < 0) | (first + count > triangles)).any()):
        raise ValueError(f"ranges must be (first, count) within the {triangles} triangles of tri")
    return spans


def check_choice(name: str, value: object, allowed: Sequence[str]) -> None:
    """A string that is one of those allowed."""
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(allowed)}, not {value!r}")


def check_ids(name: str, bad: torch.Tensor) -> None:
    """ValueError if a kernel met a triangle id that is not in ``tri``: ``bad`` [slots] was set to 1."""
    if bool((bad.numpy() if bad.device.type == "cpu" else bad).any()):
        raise ValueError(f"{name} refers to triangles that are not in tri")


def _word(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")

# SPDX-License-Identifier: GPL-3.0-or-later
"""Differentiable rendering primitives with nvdiffrast's signatures and conventions, on CPU and CUDA.

Importing this package is cheap: Warp and the kernels are loaded when a name is first used. Only the CPU half is tested:
on CUDA the same kernels run from the same source (one launch, real atomics), but no GPU has run them yet.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .antialiasing import antialias, antialias_construct_topology_hash
    from .backends import backend, get_log_level, set_log_level
    from .context import RasterizeContext, RasterizeCudaContext
    from .interpolation import interpolate
    from .meshes import pack_meshes
    from .mipmaps import texture_construct_mip
    from .rasterizer import DepthPeeler, rasterize
    from .ray_queries import RayScene
    from .silhouettes import silhouette_gradient
    from .texturing import texture

__all__ = [
    "DepthPeeler",
    "RasterizeContext",
    "RasterizeCudaContext",
    "RayScene",
    "antialias",
    "antialias_construct_topology_hash",
    "backend",
    "get_log_level",
    "interpolate",
    "pack_meshes",
    "rasterize",
    "set_log_level",
    "silhouette_gradient",
    "texture",
    "texture_construct_mip",
]

_HOME = {
    "DepthPeeler": "rasterizer",
    "RasterizeContext": "context",
    "RasterizeCudaContext": "context",
    "RayScene": "ray_queries",
    "antialias": "antialiasing",
    "antialias_construct_topology_hash": "antialiasing",
    "backend": "backends",
    "get_log_level": "backends",
    "interpolate": "interpolation",
    "pack_meshes": "meshes",
    "rasterize": "rasterizer",
    "set_log_level": "backends",
    "silhouette_gradient": "silhouettes",
    "texture": "texturing",
    "texture_construct_mip": "mipmaps",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f".{_HOME[name]}", __name__), name)
    return value

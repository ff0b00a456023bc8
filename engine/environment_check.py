# SPDX-License-Identifier: GPL-3.0-or-later
"""Run by a Python that shall be the engine: imports what the engine needs, runs one small kernel, tells versions.

``python environment_check.py '["torch", "warp"]' '["torch", "warp-lang"]'``: names of modules and of their packages.
The last line on stdout is a JSON object; nothing is raised for a module that cannot be imported.
"""

import importlib
import importlib.metadata
import json
import sys
from typing import Any


def main(modules: list[str], packages: list[str]) -> dict[str, Any]:
    """What there is: python, versions by package, broken modules with the reason, device ("cpu", "cuda")."""
    versions, broken = {}, {}
    for module, package in zip(modules, packages, strict=True):
        try:
            found = importlib.import_module(module)
            versions[package] = _version(package) or str(getattr(found, "__version__", "unknown"))
        except Exception as error:  # a package that is broken raises anything
            broken[module] = f"{type(error).__name__}: {error}"
    device = "cpu"
    if {"torch", "warp"} <= set(modules) and not broken:
        try:
            device = _run_kernel()
        except Exception as error:
            broken["warp"] = f"its kernels do not run: {type(error).__name__}: {error}"
    return {"python": "{}.{}.{}".format(*sys.version_info), "versions": versions, "broken": broken, "device": device}


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _run_kernel() -> str:
    import torch
    import warp as wp

    wp.config.quiet = True
    wp.init()

    @wp.kernel
    def double(values: wp.array(dtype=float)):  # type: ignore[valid-type, no-untyped-def]
        thread = wp.tid()
        values[thread] = 2.0 * values[thread]

    device = "cuda" if torch.cuda.is_available() and wp.is_cuda_available() else "cpu"
    values = torch.arange(4, dtype=torch.float32, device=device)
    wp.launch(double, dim=4, inputs=[wp.from_torch(values)], device=device)
    wp.synchronize()
    if values.tolist() != [0.0, 2.0, 4.0, 6.0]:
        raise RuntimeError(f"twice 0 to 3 is {values.tolist()}")
    return device


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]), json.loads(sys.argv[2]))))

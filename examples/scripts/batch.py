# SPDX-License-Identifier: GPL-3.0-or-later
"""Fit many .blend files, each with the photos, targets and settings that it holds, and say how each one ended.

::

    blender --background --python-exit-code 1 --python batch.py -- fitted/ shots/*.blend
    python batch.py fitted/ shots/*.blend                                         (with the bpy module)

Writes ``fitted/NAME.blend``, ``fitted/NAME_report/report.html`` and ``fitted/batch.json``. A file that fails does not
stop the others; the exit code is 0 where all went well, else that of the first file that did not.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

try:
    import likeness
except ImportError:  # inside Blender the package bears the name of the repository that the extension came from
    from bl_ext.user_default import likeness


def main() -> int:
    """Fit one file after the other."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path, help="folder for everything that is written")
    parser.add_argument("scenes", type=Path, nargs="+", help=".blend files with a photo list; they are not changed")
    options = parser.parse_args(sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else sys.argv[1:])
    options.output.mkdir(parents=True, exist_ok=True)
    rows = []
    for scene in options.scenes:
        rows.append(fit_one(scene, options.output))
        # after each file, so that a batch that is killed has its report
        (options.output / "batch.json").write_text(json.dumps(rows, indent=1, ensure_ascii=False), encoding="utf-8")
        print(f"{rows[-1]['exit_code']:3d}  {scene}  {rows[-1]['message']}", flush=True)
    return next((row["exit_code"] for row in rows if row["exit_code"]), 0)


def fit_one(scene: Path, folder: Path) -> dict[str, Any]:
    """Fit one file; returns its row of the report."""
    began = time.monotonic()
    row: dict[str, Any] = {"scene": str(scene), "exit_code": 0, "message": "", "photos": []}
    try:
        fit = likeness.fit(scene)
        fit.apply()
        output = folder / f"{scene.stem}.blend"
        fit.save(output)
        page = fit.report(folder / f"{scene.stem}_report")
    except likeness.LikenessError as error:
        row.update(exit_code=error.exit_code, message=str(error))
    else:
        row.update(output=str(output), report=str(page), warnings=fit.result.warnings)
        row["photos"] = [
            {"name": photo.name, "psnr_before": photo.psnr_before, "psnr_after": photo.psnr_after}
            for photo in fit.result.photos
        ]
        row["message"] = ", ".join(f"{p['psnr_before']:.1f} → {p['psnr_after']:.1f} dB" for p in row["photos"])
    row["seconds"] = round(time.monotonic() - began, 1)
    return row


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender's window, driven with mouse and keys; screenshots are left in out/gui.

LIKENESS_GUI is the command that runs Blender with a window: it is given a script and a folder for GUI_OUT.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMMAND = shlex.split(os.environ.get("LIKENESS_GUI", ""))
pytestmark = [
    pytest.mark.skipif(not COMMAND, reason="LIKENESS_GUI names no command that runs Blender with a window"),
    pytest.mark.timeout(900),
]


@pytest.mark.parametrize("names", [["first_material"], ["run_fit"], ["killed", "killed"]], ids=lambda names: names[0])
def test_window(names: list[str]) -> None:
    out = ROOT / "out" / "gui" / names[0]
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    zips = out / "zip"
    zips.mkdir()
    tool = [str(ROOT / "scripts" / "blender_ext.sh"), sys.executable]
    subprocess.run([*tool, "build", "--source-dir", str(ROOT), "--output-dir", str(zips)], check=True)
    (out / "user").mkdir()
    environment = {**os.environ, "BLENDER_USER_RESOURCES": str(out / "user"), "GUI_ZIP": str(next(zips.glob("*.zip")))}
    for name in names:
        script = str(ROOT / "tests" / "gui" / f"{name}.py")
        done = subprocess.run(
            [*COMMAND, script, str(out)], env=environment, capture_output=True, text=True, check=False
        )
        (out / f"{name}.log").write_text(done.stdout + done.stderr)
    assert "PASSED" in done.stdout, done.stdout[-3000:]

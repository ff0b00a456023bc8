#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Blender's own extension tool, from the bpy wheel: blender_ext.sh PYTHON validate|build ARGS...
set -euo pipefail
python=$1; shift
# find_spec: the path without the seconds that importing bpy takes
folder=$("$python" -c 'import importlib.util, pathlib; print(pathlib.Path(importlib.util.find_spec("bpy").origin).parent)')
exec "$python" "$folder"/*/scripts/addons_core/bl_pkg/cli/blender_ext.py "$@"

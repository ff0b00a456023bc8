#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Prints requirements.lock for what is installed: lock.sh PYTHON
set -euo pipefail
cat <<'END'
# Every package of the development environment, pinned. CPython 3.11, Linux x86-64. Made by `make lock`.
# torch's pin carries no build tag: a CPU-only wheel and the CUDA wheel both satisfy it (docs/dependencies.md).
END
"$1" -m pip freeze --all --exclude-editable --exclude pip | sed -E 's/^(torch==[0-9.]+)\+.*/\1/; / @ /d; /^nvidia|^triton/d'

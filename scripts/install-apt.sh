#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Installs the Debian/Ubuntu packages that the environment needs, if any is missing; does nothing otherwise.
# Run by the Makefile before it makes .venv. The list is what `ldd` names for the bpy wheels 4.2, 4.5 and 5.0
# (they link X11 and OpenGL even when no window is ever opened) plus Python's venv.
set -euo pipefail

python=${1:-python3.11}

# shared library -> Debian package
declare -A needed=(
  [libGL.so.1]=libgl1
  [libX11.so.6]=libx11-6
  [libXrender.so.1]=libxrender1
  [libXfixes.so.3]=libxfixes3
  [libXi.so.6]=libxi6
  [libXxf86vm.so.1]=libxxf86vm1
  [libxkbcommon.so.0]=libxkbcommon0
  [libSM.so.6]=libsm6
  [libICE.so.6]=libice6
  [libgomp.so.1]=libgomp1
)

have=$(PATH=$PATH:/sbin:/usr/sbin ldconfig -p)
missing=()
for library in "${!needed[@]}"; do
  grep -qF "$library " <<< "$have" || missing+=("${needed[$library]}")
done
if ! command -v "$python" > /dev/null; then
  missing+=("${python##*/}" "${python##*/}-venv")
elif ! "$python" -c 'import ensurepip, venv' 2> /dev/null; then
  missing+=("${python##*/}-venv")
fi
[ ${#missing[@]} -gt 0 ] || exit 0

echo "Installing system packages: ${missing[*]}"
if [ "$(id -u)" -eq 0 ]; then
  root=()
elif command -v sudo > /dev/null; then
  root=(sudo)
else
  echo "Not root and no sudo. Please ask for: apt-get install ${missing[*]}" >&2
  exit 1
fi
"${root[@]}" apt-get update -qq
"${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"

# SPDX-License-Identifier: GPL-3.0-or-later
"""The only room that reads and writes datablocks: Blender scenes to arrays and back."""

# SPDX-License-Identifier: GPL-3.0-or-later
"""The add-on in the real Blender."""

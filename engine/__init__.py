# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine: scenes as arrays, differentiable rendering and fitting. Never imports bpy."""

# SPDX-License-Identifier: GPL-3.0-or-later
"""The Likeness tab in the sidebar of the 3D View."""


class Sidebar:
    """Where all panels are."""

    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Likeness"

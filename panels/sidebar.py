# SPDX-License-Identifier: GPL-3.0-or-later
"""The Likeness tab in the sidebar of the 3D View."""

from __future__ import annotations

import bpy

_ICONS = {"error": "ERROR", "ignored": "CANCEL", "approximated": "INFO", "supported": "CHECKMARK"}


class _Sidebar:
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Likeness"


class LIKENESS_PT_photos(_Sidebar, bpy.types.Panel):
    """Photos that the render shall look like"""

    bl_idname = "LIKENESS_PT_photos"
    bl_label = "Photos"

    def draw(self, context: bpy.types.Context) -> None:
        settings = context.scene.likeness
        row = self.layout.row()
        row.template_list("LIKENESS_UL_photos", "", settings, "photos", settings, "active_photo", rows=4)
        column = row.column(align=True)
        column.operator("likeness.photo_add", text="", icon="ADD")
        column.operator("likeness.photo_remove", text="", icon="REMOVE")
        if not 0 <= settings.active_photo < len(settings.photos):
            return
        photo = settings.photos[settings.active_photo]
        column = self.layout.column()
        column.use_property_split = True
        column.use_property_decorate = False
        for name in ("camera", "path", "mask_path", "weight", "exposure", "white_balance"):
            column.prop(photo, name)


class LIKENESS_PT_targets(_Sidebar, bpy.types.Panel):
    """What the fit may change"""

    bl_idname = "LIKENESS_PT_targets"
    bl_label = "Change"

    def draw(self, context: bpy.types.Context) -> None:
        targets = context.scene.likeness.targets
        column = self.layout.column(heading="Materials")
        column.use_property_split = True
        column.use_property_decorate = False
        for name in ("base_color", "roughness", "metallic", "normal", "emission"):
            column.prop(targets, name)
        column.prop(targets, "material")
        column = self.layout.column(heading="Light")
        column.use_property_split = True
        column.use_property_decorate = False
        for name in ("lights", "light", "world", "world_strength"):
            column.prop(targets, name)
        column = self.layout.column(heading="Photos")
        column.use_property_split = True
        column.use_property_decorate = False
        for name in ("exposure", "white_balance"):
            column.prop(targets, name)


class LIKENESS_PT_settings(_Sidebar, bpy.types.Panel):
    """How the fit is done"""

    bl_idname = "LIKENESS_PT_settings"
    bl_label = "Settings"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        column = self.layout.column()
        column.use_property_split = True
        column.use_property_decorate = False
        for name in ("iterations", "resolution", "texture_size", "device", "seed", "report_dir"):
            column.prop(context.scene.likeness, name)


class LIKENESS_PT_fit(_Sidebar, bpy.types.Panel):
    """Running the fit, and its outcome"""

    bl_idname = "LIKENESS_PT_fit"
    bl_label = "Fit"

    def draw(self, context: bpy.types.Context) -> None:
        state = context.window_manager.likeness_run
        column = self.layout.column()
        if state.running:
            column.progress(factor=state.factor, text=state.text)
            column.operator("likeness.cancel", icon="CANCEL")
            return
        row = column.row()
        row.scale_y = 1.5
        row.operator("likeness.fit", icon="PLAY").resume = False
        if state.stopped:
            column.operator("likeness.fit", text="Go On", icon="FRAME_NEXT").resume = True
        row = column.row(align=True)
        row.operator("likeness.apply", icon="CHECKMARK")
        row.operator("likeness.report_open", text="Report", icon="URL")
        column.operator("likeness.check", icon="VIEWZOOM")
        for note in state.notes:
            box = column.box().column(align=True)
            box.label(text=note.datablock, icon=_ICONS[note.severity])
            box.label(text=note.message)


CLASSES = (LIKENESS_PT_photos, LIKENESS_PT_targets, LIKENESS_PT_settings, LIKENESS_PT_fit)

# SPDX-License-Identifier: GPL-3.0-or-later
"""Collecting what the reader could not take over exactly, one :class:`engine.scene.Note` a finding."""

from __future__ import annotations

import bpy

from ..engine.scene import Note, Severity


def label(datablock: bpy.types.ID) -> str:
    """How notes and errors name a datablock: ``Material "Gold"``; linked data with its library."""
    return f'{type_name(datablock)} "{datablock.name_full}"'


def type_name(datablock: bpy.types.ID) -> str:
    """The word an artist uses for the type of a datablock."""
    if isinstance(datablock, bpy.types.Light):
        return "Light"
    return datablock.bl_rna.name


class Notes:
    """An ordered set of notes: the same finding on the same datablock is kept once."""

    def __init__(self) -> None:
        self._notes: dict[tuple[str, str, str], Note] = {}

    def add(self, severity: Severity, datablock: bpy.types.ID | str, message: str) -> None:
        """Record a finding; ``datablock`` is the thing itself or its ready-made label."""
        name = datablock if isinstance(datablock, str) else label(datablock)
        self._notes.setdefault((severity, name, message), Note(severity, name, message))

    def approximated(self, datablock: bpy.types.ID | str, message: str) -> None:
        """The thing is taken into account, but not exactly as Cycles does."""
        self.add("approximated", datablock, message)

    def ignored(self, datablock: bpy.types.ID | str, message: str) -> None:
        """The thing has no effect on the engine's image."""
        self.add("ignored", datablock, message)

    def error(self, datablock: bpy.types.ID | str, message: str) -> None:
        """The thing is broken in the file itself, or would make the fit meaningless."""
        self.add("error", datablock, message)

    def as_list(self) -> list[Note]:
        """The notes in the order in which they were found."""
        return list(self._notes.values())

    def take_over(self, other: Notes) -> None:
        """Add all notes of another collection."""
        for note in other.as_list():
            self.add(note.severity, note.datablock, note.message)

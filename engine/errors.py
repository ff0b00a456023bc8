# SPDX-License-Identifier: GPL-3.0-or-later
"""Every error that an artist can meet, with the exit code that the command line gives it.

A message is one line that says what happened, where (the datablock or file by name) and what to do.
Front ends catch :class:`LikenessError`; anything else is a bug in Likeness (exit code 1).
"""

from __future__ import annotations

EXIT_OK = 0
EXIT_INTERNAL = 1
EXIT_USAGE = 2
EXIT_BAD_INPUT = 3
EXIT_ENGINE_MISSING = 4
EXIT_OUT_OF_MEMORY = 5
EXIT_DIVERGED = 6
EXIT_CANCELLED = 130


class LikenessError(Exception):
    """Base of all errors that are meant for the artist."""

    exit_code = EXIT_INTERNAL


class UsageError(LikenessError):
    """The request itself makes no sense: unknown target, bad option, output equals input."""

    exit_code = EXIT_USAGE


class SceneError(LikenessError):
    """Something in the .blend prevents the work: no camera, mesh without UVs, NaN vertices."""

    exit_code = EXIT_BAD_INPUT


class PhotoError(LikenessError):
    """A photo or a mask cannot be used: missing, unreadable, empty, all black."""

    exit_code = EXIT_BAD_INPUT


class OutputError(LikenessError):
    """The result cannot be written: folder missing, read-only, disk full."""

    exit_code = EXIT_BAD_INPUT


class EngineMissingError(LikenessError):
    """torch or Warp is not installed where the engine should run, or the device is not there."""

    exit_code = EXIT_ENGINE_MISSING


class OutOfMemoryError(LikenessError):
    """The machine or the GPU has not enough memory for the chosen resolution and texture size."""

    exit_code = EXIT_OUT_OF_MEMORY


class DivergedError(LikenessError):
    """The fit produced NaN or a growing loss; the last good state was kept."""

    exit_code = EXIT_DIVERGED


class CancelledError(LikenessError):
    """The user stopped the fit; the checkpoint was written and the run can be resumed."""

    exit_code = EXIT_CANCELLED

# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m likeness``."""

from __future__ import annotations

from .cli import run

if __name__ == "__main__":
    run()

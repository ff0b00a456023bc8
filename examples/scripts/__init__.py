# SPDX-License-Identifier: GPL-3.0-or-later
"""Complete scripts around Likeness, see docs/scripting.md."""

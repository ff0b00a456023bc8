# SPDX-License-Identifier: GPL-3.0-or-later
"""Scripts that drive Blender's window, and the test that runs them."""

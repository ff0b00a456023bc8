# SPDX-License-Identifier: GPL-3.0-or-later
"""Materials, lights, world and visibility, as Cycles has them."""

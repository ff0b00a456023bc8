# SPDX-License-Identifier: GPL-3.0-or-later
import likeness.engine  # noqa: F401  (as in a fit, before torch: it says how torch gets its memory)

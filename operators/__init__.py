# SPDX-License-Identifier: GPL-3.0-or-later
"""One module a user action. Operators call, report errors and hold no logic."""

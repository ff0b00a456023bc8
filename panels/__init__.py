# SPDX-License-Identifier: GPL-3.0-or-later
"""Sidebar panels and lists. They only draw."""

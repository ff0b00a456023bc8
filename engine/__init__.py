# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine: scenes as arrays, differentiable rendering and fitting. Never imports bpy."""

import os

# Large tensors in huge pages, where Linux has them to give: the page faults of a new tensor otherwise cost several
# times as much as filling it. torch reads this once, when it is imported.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")

# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine: scenes as arrays, differentiable rendering and fitting. Never imports bpy."""

import os

# Large tensors in huge pages, where Linux has them to give: the page faults of a new tensor otherwise cost several
# times as much as filling it. torch reads this once, when it is imported.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
# Threads that wait for each other within an operation give up spinning after a tenth of a millisecond or so, not after
# many: on a machine that is busy with something else they would take the processor from the very thread they wait for,
# and an iteration would take four times as long. Read by GNU's OpenMP, which torch uses on Linux, when it is loaded.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")

# SPDX-License-Identifier: GPL-3.0-or-later
"""Warp set-up and the one way in which Likeness launches kernels.

Warp runs a CPU launch on one core but releases the GIL, so a launch is cut into ranges that a thread pool runs.
CPU ``atomic_add`` is a plain add: a kernel that scatters writes into ``buffer[slot]``, with one slot a thread, and
the caller sums over slots. On CUDA there is one range, one slot and the adds are real atomics.

Every kernel therefore begins with the two arguments ``start: int, slot: int`` and works on item ``start + wp.tid()``.
"""

from __future__ import annotations

import ctypes.util
import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from typing import Any

import warp as wp


def _init_quietly() -> None:
    """Start Warp; on a machine without an NVIDIA driver it would print a warning to stderr from C."""
    if ctypes.util.find_library("nvcuda" if os.name == "nt" else "cuda") is not None:
        wp.init()
        return
    sys.stderr.flush()
    saved = os.dup(2)
    try:
        with open(os.devnull, "wb") as sink:
            os.dup2(sink.fileno(), 2)
        wp.init()
    finally:
        os.dup2(saved, 2)
        os.close(saved)


wp.config.log_level = wp.LOG_ERROR  # nothing of Warp's may end up between the JSON lines of the worker
_init_quietly()

# Below this a second thread costs more than it brings (a launch takes about 10 µs).
MIN_ITEMS_PER_THREAD = 512


def cpu_threads() -> int:
    """Threads for CPU launches: ``LIKENESS_THREADS`` or the cores this process may use."""
    wanted = os.environ.get("LIKENESS_THREADS", "")
    if wanted.isdigit() and int(wanted) > 0:
        return int(wanted)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="likeness")


def slots(device: str) -> int:
    """How many scatter buffers a kernel needs on this device ("cpu", "cuda", "cuda:0")."""
    return cpu_threads() if device == "cpu" else 1


def owners(items: int, device: str) -> int:
    """Into how many parts to divide a result when each thread may write only to a part of its own.

    A scatter that is launched with ``items * owners`` items, of which the first ``items`` belong to owner 0 and so on,
    needs no buffer for each thread: every owner goes through all items and adds what falls into its part. Never are two
    threads at work for one owner; sums come in the order of the items, so that they do not depend on the threads.
    On CUDA there is one owner, and real atomics.
    """
    # With fewer items the launch might be cut within an owner's share.
    return cpu_threads() if device == "cpu" and items >= MIN_ITEMS_PER_THREAD else 1


def launch(kernel: wp.Kernel, count: int, inputs: Sequence[Any], device: str) -> None:
    """Run ``kernel(start, slot, *inputs)`` for items 0 … count - 1 and wait for it (on CUDA: enqueue it).

    The split into ranges depends on nothing but ``count`` and the number of threads, so that results that are
    summed over slots are the same in every run.
    """

    bounds = range_bounds(count, device)
    if len(bounds) > 2:
        # The module must be loaded before the threads start, or each would compile it. A CPU launch has blocks of one.
        kernel.module.load(wp.get_device(device), 1)

    def run(start: int, slot: int, items: int) -> None:
        wp.launch(kernel, dim=items, inputs=[start, slot, *inputs], device=device)

    run_ranges(bounds, run)


def range_bounds(count: int, device: str) -> list[int]:
    """Where the ranges of a launch of ``count`` items begin, and where the last one ends."""
    threads = max(1, min(cpu_threads(), count // MIN_ITEMS_PER_THREAD)) if device == "cpu" else 1
    return [count * i // threads for i in range(threads + 1)]


def run_ranges(bounds: Sequence[int], run: Callable[[int, int, int], None]) -> None:
    """Call ``run(start, slot, items)`` for each range between neighbouring bounds, on all threads; slots count ranges.

    Useful for whatever releases the GIL. Waits for all of them, and raises what one of them raised.
    """
    ranges = [(start, slot, end - start) for slot, (start, end) in enumerate(pairwise(bounds)) if end > start]
    if len(ranges) == 1:
        run(*ranges[0])
        return
    futures = [_pool(cpu_threads()).submit(run, *part) for part in ranges]
    for future in futures:
        future.result()

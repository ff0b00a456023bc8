# SPDX-License-Identifier: GPL-3.0-or-later
"""Ctrl-C and SIGTERM: the first asks for a checkpoint and an orderly end, the second ends at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupt:
    """Whether the user has asked to stop."""

    def __init__(self) -> None:
        self.asked = False

    def __call__(self) -> bool:
        return self.asked


@contextmanager
def catch_interrupts() -> Iterator[Interrupt]:
    """Record the first signal; the handlers of before are back from then on, and at the end in any case."""
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield interrupt  # only the main thread may set handlers
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        for number, handler in before.items():
            # None: set from outside of Python
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def first(_number: int, _frame: FrameType | None) -> None:
        interrupt.asked = True
        restore()

    for number in before:
        signal.signal(number, first)
    try:
        yield interrupt
    finally:
        restore()

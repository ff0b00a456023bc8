# SPDX-License-Identifier: GPL-3.0-or-later
"""The child's end of engine/child.py: JSON lines on stdout, which nothing else may use."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Callable
from typing import Any, TextIO


def take_stdout() -> TextIO:
    """stdout for messages alone: whatever else is printed in this process, by libraries too, goes to stderr."""
    sys.stdout.flush()
    messages = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return messages


def sender(stream: TextIO) -> Callable[..., None]:
    """A function that writes its keyword arguments as a line."""

    def send(**message: Any) -> None:
        # JSON knows no NaN and no infinity
        plain = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in message.items()}
        try:
            stream.write(json.dumps(plain, ensure_ascii=False) + "\n")
            stream.flush()
        except BrokenPipeError:
            pass  # nobody listens any more; the end of stdin ends the process

    return send

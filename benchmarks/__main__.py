# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the benchmarks and write docs/benchmarks.md: ``make bench``, or ``python -m benchmarks [name …]``.

Names are those of the modules, see NAMES, and six_photos:known, six_photos:unknown, cycles_loop:glass and so on.
With names, the lines of the other benchmarks stay as they are in docs/benchmarks.md. The first run renders its
references by Cycles and takes an hour or so on two cores; later ones about half of that.
"""

from __future__ import annotations

import datetime
import json
import os
import platform
import subprocess
import sys
from dataclasses import asdict
from importlib import import_module
from pathlib import Path

from .figures import OUTPUT, ROOT, Figure

NAMES = (
    "view_accuracy", "ops", "visibility", "scaling", "iteration", "features", "forward", "direct", "tabletop",
    "random_materials", "gradients", "cycles_loop", "six_photos", "cameras", "chessboard", "gold_cape",
)  # fmt: skip
PAGE = ROOT / "docs" / "benchmarks.md"
STORE = OUTPUT / "figures.json"


def machine() -> str:
    """Processor, number of cores it may use, memory."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{model}, {cores} cores, {memory:.0f} GiB"


def table(figures: list[Figure]) -> str:
    """Markdown rows."""
    verdict = {True: "yes", False: "**no**", None: ""}
    rows = [f"| {f.what} | {f.wanted} | {f.measured} | {verdict[f.met]} |" for f in figures]
    return "\n".join(["| what | wanted | measured | met |", "|---|---|---|---|", *rows])


def write_page(stored: dict[str, dict]) -> None:
    """docs/benchmarks.md from the figures of the last run of each benchmark."""
    parts = ["# Benchmarks", "", "`make bench` writes this page; `python -m benchmarks NAME …` renews single tables."]
    for name in NAMES:
        for key in sorted(key for key in stored if key.partition(":")[0] == name):
            entry = stored[key]
            figures = [Figure(**figure) for figure in entry["figures"]]
            parts += ["", f"## {key.replace('_', ' ').replace(':', ': ')}", "", entry["about"], "", table(figures)]
            parts += ["", f"*{entry['date']}, {entry['machine']}, commit {entry['commit']}*"]
    PAGE.write_text("\n".join(parts) + "\n", encoding="utf-8")


def record(key: str, about: str, figures: list[Figure]) -> None:
    """Keep the figures of a benchmark (NAME or NAME:VARIANT) and write the page anew."""
    stored = json.loads(STORE.read_text(encoding="utf-8")) if STORE.exists() else {}
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    stored[key] = {
        "about": " ".join(about.split("``")[0].split()),
        "date": datetime.date.today().isoformat(),
        "machine": machine(),
        "commit": commit.stdout.strip(),
        "figures": [asdict(figure) for figure in figures],
    }
    STORE.parent.mkdir(parents=True, exist_ok=True)
    STORE.write_text(json.dumps(stored, indent=1), encoding="utf-8")
    write_page(stored)


def main(keys: list[str]) -> int:
    """Run what was asked for; the exit code is 1 when a figure was missed."""
    unknown = {key for key in keys if key.partition(":")[0] not in NAMES}
    if unknown:
        print(f"There is no benchmark {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}.", file=sys.stderr)
        return 2
    missed = False
    for key in keys or NAMES:
        print(f"--- {key}", flush=True)
        name, _, variant = key.partition(":")
        module = import_module(f"benchmarks.{name}")
        figures = module.measure([variant]) if variant else module.measure()
        missed |= any(figure.met is False for figure in figures)
        if figures:
            record(key, module.__doc__ or "", figures)
    return int(missed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

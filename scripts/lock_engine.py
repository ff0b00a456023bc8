# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes engine/requirements-*.lock: every package of the engine, pinned, with the hashes of its wheels.

Run by `make lock`. Versions are those of requirements.lock where they exist for that Python. pip resolves once for each
Python on Linux, where torch asks for most, and downloads some gigabytes for it, but installs nothing; who needs what
elsewhere follows from the markers. The hashes are those that the package index names, of all wheels for the systems
that Blender runs on. It does not hold every build of torch, see docs/dependencies.md.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from packaging.requirements import Requirement
from packaging.tags import Tag
from packaging.utils import canonicalize_name, parse_wheel_filename

# pip's own reader of an index: the only one that knows the proxies and certificates of this machine
from pip._internal.index.collector import LinkCollector, parse_links
from pip._internal.models.index import PyPI
from pip._internal.models.link import Link
from pip._internal.models.search_scope import SearchScope
from pip._internal.network.session import PipSession

ROOT = Path(__file__).parents[1]
PYTHONS = ("3.11", "3.13")
INDEX = os.environ.get("PIP_INDEX_URL", PyPI.simple_url)
# Packages that only the CUDA build of torch asks for.
CUDA = re.compile(r"nvidia-|cuda-|triton")
# numpy 1.26 has no wheels for Python 3.13, and Blender's own numpy is a 2.x there.
FREE = {"3.13": {"numpy"}}


@dataclass(frozen=True)
class Platform:
    """A system that Blender runs on, in the words of markers, and the tags of its wheels."""

    system: str
    sys_platform: str
    machine: str
    tag: str

    def marker(self) -> str:
        return f'sys_platform == "{self.sys_platform}" and platform_machine == "{self.machine}"'


PLATFORMS = (
    Platform("Linux", "linux", "x86_64", r"(manylinux|linux_).*x86_64"),
    Platform("Linux", "linux", "aarch64", r"(manylinux|linux_).*aarch64"),
    Platform("Darwin", "darwin", "arm64", r"macosx.*(arm64|universal2)"),
    Platform("Windows", "win32", "AMD64", r"win_amd64"),
    Platform("Windows", "win32", "ARM64", r"win_arm64"),
)


@dataclass
class Package:
    """One line of a lock."""

    version: str
    requires: list[str]
    wheels: dict[Platform, set[str]] = field(default_factory=dict)
    platforms: set[Platform] = field(default_factory=set)


def resolve(python: str) -> dict[str, Package]:
    """Everything that Linux needs, by name, as pip resolves it."""
    with tempfile.TemporaryDirectory() as folder:
        constraints = Path(folder) / "constraints.txt"
        lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
        constraints.write_text("\n".join(line for line in lines if line.partition("==")[0] not in FREE.get(python, ())))
        options = ["--dry-run", "--ignore-installed", "-qq", "--report", "-", "--target", folder]
        options += ["--only-binary", ":all:", "--implementation", "cp", "--python-version", python]
        options += [f"--platform=manylinux_2_{minor}_x86_64" for minor in range(28, 4, -1)]
        options += ["--platform=manylinux2014_x86_64", "--constraint", str(constraints)]
        # the index alone, not wheels of another build that this machine's pip is told of
        environment = {k: v for k, v in os.environ.items() if k not in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL")}
        environment["PIP_CONFIG_FILE"] = os.devnull
        done = subprocess.run(
            [sys.executable, "-m", "pip", "install", *options, *dependencies()],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            env=environment,
        )
    return {
        canonicalize_name(item["metadata"]["name"]): Package(
            item["metadata"]["version"], item["metadata"].get("requires_dist", [])
        )
        for item in json.loads(done.stdout)["install"]
    }


def dependencies() -> list[str]:
    """What the package likeness asks for."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return project["dependencies"]


def wanted(requirements: Iterable[str], extras: set[str], python: str, platform: Platform) -> Iterator[Requirement]:
    """Those of ``requirements`` that a platform needs."""
    environment = {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "os_name": "nt" if platform.sys_platform == "win32" else "posix",
        "sys_platform": platform.sys_platform,
        "platform_system": platform.system,
        "platform_machine": platform.machine,
        "platform_release": "",
        "platform_version": "",
    }
    for requirement in map(Requirement, requirements):
        marker = requirement.marker
        if marker is None or any(marker.evaluate({**environment, "extra": extra}) for extra in extras | {""}):
            yield requirement


def spread(packages: dict[str, Package], python: str, platform: Platform) -> None:
    """Mark all that ``platform`` needs; nothing where a package has no wheel for it."""
    todo = [(requirement, set(requirement.extras)) for requirement in wanted(dependencies(), set(), python, platform)]
    needed: dict[str, set[str]] = {}
    while todo:
        requirement, extras = todo.pop()
        name: str = canonicalize_name(requirement.name)
        if name in needed and extras <= needed[name]:
            continue
        if name not in packages or not packages[name].wheels.get(platform):
            print(f"Python {python}, {platform.marker()}: left out, no wheel of {name}", file=sys.stderr)
            return
        needed[name] = needed.get(name, set()) | extras
        more = wanted(packages[name].requires, needed[name], python, platform)
        todo += [(requirement, set(requirement.extras)) for requirement in more]
    for name in needed:
        packages[name].platforms.add(platform)


def find_wheels(packages: dict[str, Package], python: str) -> None:
    """Ask the index for the hashes of all wheels that suit Python and Blender's platforms."""
    session = PipSession(retries=3)
    if certificates := os.environ.get("PIP_CERT"):
        session.verify = certificates  # type: ignore[assignment]
    collector = LinkCollector(session, SearchScope.create([], [INDEX], no_index=False))
    for name, package in packages.items():
        page = collector.fetch_response(Link(f"{INDEX}/{name}/"))
        assert page is not None, name
        for link in parse_links(page):
            if not link.is_wheel or link.hash_name != "sha256":
                continue
            _, version, _, tags = parse_wheel_filename(link.filename)
            if str(version) == package.version:
                for platform in PLATFORMS:
                    if any(suits(tag, python, platform) for tag in tags):
                        package.wheels.setdefault(platform, set()).add(str(link.hash))


def suits(tag: Tag, python: str, platform: Platform) -> bool:
    """Whether a wheel with ``tag`` can be installed."""
    if tag.platform != "any" and not re.fullmatch(platform.tag, tag.platform):
        return False
    major, minor = map(int, python.split("."))
    if match := re.fullmatch(r"cp3(\d+)", tag.interpreter):
        mine = int(match[1]) == minor and tag.abi in (f"cp3{minor}", "none")
        return mine or (tag.abi == "abi3" and int(match[1]) <= minor)
    return tag.interpreter == f"py{major}" and tag.abi == "none"


def text_of(python: str, packages: dict[str, Package]) -> str:
    """The lock as pip reads it."""
    lines = [
        f"# The engine for Python {python}, made by scripts/lock_engine.py. Install with --require-hashes --no-deps."
    ]
    everywhere = set().union(*(package.platforms for package in packages.values()))
    for name, package in sorted(packages.items()):
        some = " or ".join(sorted(platform.marker() for platform in package.platforms))
        hashes = sorted(set().union(*(package.wheels[platform] for platform in package.platforms)))
        marker = "" if package.platforms == everywhere and not CUDA.match(name) else f" ; {some}"
        lines.append(f"{name}=={package.version}{marker}" + "".join(f" \\\n    --hash=sha256:{h}" for h in hashes))
    return "\n".join(lines) + "\n"


def main() -> None:
    for python in PYTHONS:
        packages = resolve(python)
        find_wheels(packages, python)
        for platform in PLATFORMS:
            spread(packages, python, platform)
        used = {name: package for name, package in packages.items() if package.platforms}
        for kind, cuda in (("", False), ("-cuda", True)):
            chosen = {name: package for name, package in used.items() if bool(CUDA.match(name)) == cuda}
            file = ROOT / "engine" / f"requirements-{python}{kind}.lock"
            file.write_text(text_of(python, chosen), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()

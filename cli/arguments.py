# SPDX-License-Identifier: GPL-3.0-or-later
"""The words of the command line: parser, targets, CAMERA=FILE and sizes."""

from __future__ import annotations

import argparse
import re
from collections.abc import Collection
from pathlib import Path
from typing import NoReturn

from ..engine.errors import SceneError, UsageError
from ..engine.result import FitSettings

DESCRIPTION = "Change materials and light of a Blender scene until its render looks like the photos."
EPILOG = (
    "Exit codes: 0 ok, 1 internal, 2 usage, 3 bad scene, photo or output, 4 engine missing, 5 out of memory, "
    "6 diverged, 130 cancelled."
)


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are Likeness' own: one line, exit code 2."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see {self.prog} --help)")


def parser(version: str) -> argparse.ArgumentParser:
    """The parser of all commands; ``command`` in the namespace names the one that was chosen."""
    top = _Parser(prog="likeness", description=DESCRIPTION, epilog=EPILOG)
    top.add_argument("--version", action="version", version=f"likeness {version}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True, parser_class=_Parser)
    _add_fit(commands.add_parser("fit", help="fit materials and light to photos", epilog=EPILOG))
    _add_render(commands.add_parser("render", help="render with the engine that fits", epilog=EPILOG))
    _add_check(commands.add_parser("check", help="say what of a scene is supported", epilog=EPILOG))
    _add_import(commands.add_parser("import-cameras", help="make a .blend from transforms.json", epilog=EPILOG))
    return top


def _add_scene(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "scene", metavar="SCENE.blend", nargs="?", type=Path, help="inside Blender it may be left out: the open file"
    )


def _add_fit(command: argparse.ArgumentParser) -> None:
    defaults = FitSettings()
    _add_scene(command)
    command.add_argument(
        "--photo",
        metavar="CAMERA=FILE",
        action="append",
        default=[],
        help="a photo and the camera that took it; added to the scene's own photo list; repeatable",
    )
    command.add_argument(
        "--mask",
        metavar="CAMERA=FILE",
        action="append",
        default=[],
        help="white where the photos of that camera count; repeatable",
    )
    command.add_argument(
        "--fit",
        metavar="TARGET[@DATABLOCK]",
        action="extend",
        nargs="+",
        default=[],
        help="what may change: base_color roughness metallic normal emission (@MATERIAL), lights (@LIGHT), world, "
        "world_strength, exposure, white_balance, camera lens shift distortion (@CAMERA); repeatable; without it: what "
        "is ticked in the scene",
    )
    command.add_argument("--output", metavar="OUT.blend", type=Path, help="where the result goes; never the input")
    command.add_argument("--report", metavar="DIR", type=Path, help="folder for a page with pictures and numbers")
    command.add_argument("--iterations", metavar="N", type=_positive, help="steps; chosen by itself if not given")
    command.add_argument(
        "--resolution",
        metavar="MAX_SIDE",
        type=_positive,
        help=f"longest side of a photo in the fit, in pixels ({defaults.resolution})",
    )
    command.add_argument(
        "--texture-size", metavar="N", type=_positive, help=f"side of new textures, in texels ({defaults.texture_size})"
    )
    command.add_argument("--device", choices=("auto", "cpu", "cuda"), help=f"where to compute ({defaults.device})")
    command.add_argument(
        "--seed", metavar="N", type=_natural, help="start of the random numbers: same seed, same CPU result (0)"
    )
    command.add_argument(
        "--cycles",
        action=argparse.BooleanOptionalAction,
        help="let Cycles render the fit now and then, and fit to what it shows: slower, for glass, translucent things "
        "and rooms full of reflected light (as ticked in the scene)",
    )
    command.add_argument("--progress", choices=("plain", "json"), default="plain", help="form of stdout (plain)")
    command.add_argument(
        "--run-dir",
        metavar="DIR",
        type=Path,
        help="folder for job and checkpoints, kept after success (OUT.likeness, removed after success)",
    )
    command.add_argument(
        "--resume", metavar="RUN_DIR", type=Path, help="go on with a fit that was stopped, with its own settings"
    )
    command.add_argument("--dry-run", action="store_true", help="check everything, print the plan, write nothing")


def _add_render(command: argparse.ArgumentParser) -> None:
    _add_scene(command)
    command.add_argument("--camera", metavar="NAME", help="camera object; the scene's own if not given")
    command.add_argument(
        "--output",
        metavar="FILE",
        type=Path,
        required=True,
        help=".exr: scene-linear; .png: through the scene's view settings",
    )
    command.add_argument("--resolution", metavar="WxH", type=_size, help="pixels; the scene's if not given")
    command.add_argument("--samples", metavar="N", type=_positive, default=64, help="light samples a pixel (64)")
    command.add_argument("--direct-only", action="store_true", help="no bounced light")
    command.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where to compute (auto)")
    command.add_argument("--seed", metavar="N", type=_natural, default=0, help="start of the random numbers (0)")


def _add_check(command: argparse.ArgumentParser) -> None:
    _add_scene(command)


def _add_import(command: argparse.ArgumentParser) -> None:
    command.add_argument("transforms", metavar="transforms.json", type=Path, help="instant-ngp / nerfstudio form")
    command.add_argument("--mesh", metavar="FILE", type=Path, help="mesh to put in the scene, z up as written")
    command.add_argument("--output", metavar="OUT.blend", type=Path, required=True, help="where the scene goes")


def resolve_assignment(text: str, option: str, cameras: Collection[str]) -> tuple[str, str]:
    """Camera and file of ``CAMERA=FILE``, where both may hold "=": the split whose left side is a camera counts,
    among several the one whose file exists, then the longest camera name.

    Raises UsageError without a "=" and SceneError where no camera has the name.
    """
    splits = [(text[: match.start()], text[match.end() :]) for match in re.finditer("=", text)]
    if not splits or all(not camera or not file for camera, file in splits):
        raise UsageError(f'{option} "{text}" is not of the form CAMERA=FILE.')
    known = [(camera, file) for camera, file in splits if camera in cameras and file]
    if not known:
        names = ", ".join(f'"{name}"' for name in sorted(cameras)) or "none"
        raise SceneError(f'{option} "{text}": the scene has no camera "{splits[0][0]}". Its cameras: {names}.')
    return max(known, key=lambda split: (Path(split[1]).is_file(), len(split[0])))


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f'"{text}" is not a whole number above zero')
    return int(text)


def _natural(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f'"{text}" is not a whole number')
    return int(text)


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"([1-9][0-9]*)[xX×]([1-9][0-9]*)", text)
    if match is None:
        raise argparse.ArgumentTypeError(f'"{text}" is not of the form WIDTHxHEIGHT, as 1920x1080')
    return int(match[1]), int(match[2])

# SPDX-License-Identifier: GPL-3.0-or-later
"""Dataclasses to plain JSON and arrays, and back.

``encode`` walks a value and puts every ndarray aside under the path at which it stood (``meshes.0.positions``);
``decode`` rebuilds the value from the type hints alone. There is no pickle: a job from a stranger can hold nothing but
numbers, strings and arrays. A field that the JSON lacks takes its default and one that the class lacks is
refused, so that a job of an older Likeness loads and one of a newer Likeness says so.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar

import numpy as np

T = TypeVar("T")
_ARRAY = "$array"


class CodecError(ValueError):
    """The JSON does not describe a value of the wanted type."""


def encode(value: Any, arrays: dict[str, np.ndarray], path: str = "") -> Any:
    """``value`` as JSON types; its ndarrays go into ``arrays`` under their path and are referred to by it."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: encode(getattr(value, f.name), arrays, _join(path, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, np.ndarray):
        if value.dtype.hasobject:
            raise CodecError(f"{path}: an array of Python objects cannot be stored")
        arrays[path] = value
        return {_ARRAY: path}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {str(key): encode(item, arrays, _join(path, str(key))) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [encode(item, arrays, _join(path, str(index))) for index, item in enumerate(value)]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise CodecError(f"{path}: a {type(value).__name__} cannot be stored")


def decode(kind: type[T], data: Any, arrays: Mapping[str, np.ndarray]) -> T:
    """The value of type ``kind`` that ``encode`` turned into ``data`` and ``arrays``. Raises CodecError."""
    return _decode(kind, data, arrays, kind.__name__)


def _join(path: str, name: str) -> str:
    # "/" would make folders inside the .npz; datablock names may hold anything
    name = name.replace("%", "%25").replace("/", "%2F").replace("\\", "%5C")
    return f"{path}.{name}" if path else name


@cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _decode(kind: Any, data: Any, arrays: Mapping[str, np.ndarray], path: str) -> Any:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind):
        return _decode_dataclass(kind, data, arrays, path)
    if kind is np.ndarray:
        try:
            return arrays[data[_ARRAY]]
        except (KeyError, TypeError):
            raise CodecError(f"{path}: array is missing") from None
    if origin in (typing.Union, types.UnionType):
        if data is None and type(None) in arguments:
            return None
        (inner,) = (argument for argument in arguments if argument is not type(None))
        return _decode(inner, data, arrays, path)
    if origin is list:
        return [_decode(arguments[0], item, arrays, f"{path}[{i}]") for i, item in enumerate(_expect(list, data, path))]
    if origin is tuple:
        items = _expect(list, data, path)
        if len(items) != len(arguments):
            raise CodecError(f"{path}: {len(arguments)} items expected, {len(items)} found")
        return tuple(
            _decode(k, v, arrays, f"{path}[{i}]") for i, (k, v) in enumerate(zip(arguments, items, strict=True))
        )
    if origin is dict:
        items = _expect(dict, data, path)
        return {key: _decode(arguments[1], item, arrays, f"{path}[{key!r}]") for key, item in items.items()}
    if origin is typing.Literal:
        if data not in arguments:
            raise CodecError(f"{path}: {data!r} is none of {', '.join(map(repr, arguments))}")
        return data
    if kind is float:
        if isinstance(data, bool) or not isinstance(data, int | float):
            raise CodecError(f"{path}: a number expected, {data!r} found")
        return float(data)
    return _expect(kind, data, path)


def _decode_dataclass(kind: Any, data: Any, arrays: Mapping[str, np.ndarray], path: str) -> Any:
    values = _expect(dict, data, path)
    hints = _hints(kind)
    unknown = sorted(set(values) - set(hints))
    if unknown:
        raise CodecError(f"{path}: unknown field {unknown[0]!r}; was it written by a newer Likeness?")
    try:
        return kind(**{name: _decode(hints[name], item, arrays, f"{path}.{name}") for name, item in values.items()})
    except TypeError as error:
        raise CodecError(f"{path}: {error}") from None


def _expect(kind: type, data: Any, path: str) -> Any:
    # bool is an int in Python, not here
    if not isinstance(data, kind) or (isinstance(data, bool) and kind is not bool):
        raise CodecError(f"{path}: {kind.__name__} expected, {type(data).__name__} found")
    return data

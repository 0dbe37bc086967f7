"""`module:function` of a command line: what it names."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from pathlib import Path
from typing import Any

from .errors import DomainError


def locate(target: str) -> tuple[Any, Any]:
    """The module and the object that `package.module:name` or `file.py:name` names.

    Raises:
        DomainError: if it is not written so, if importing fails, or if there is no such name.

    >>> locate("math:sin")[1](0.0)
    0.0
    """
    place, colon, name = target.rpartition(":")
    if not colon or not place or not name:
        raise DomainError(repr(target), "it is not module:function", "Write package.module:f.")
    sys.path.append(os.getcwd())
    try:
        if place.endswith(".py"):
            name_of_module = Path(place).stem
            if name_of_module in sys.stdlib_module_names or name_of_module in sys.modules:
                name_of_module = f"checked_{name_of_module}"
            spec = importlib.util.spec_from_file_location(name_of_module, place)
            if spec is None or spec.loader is None or not Path(place).is_file():
                raise DomainError(repr(target), f"there is no file {place}", "Check the path.")
            module = importlib.util.module_from_spec(spec)
            sys.modules[spec.name] = module
            sys.path.append(str(Path(place).resolve().parent))
            spec.loader.exec_module(module)
        else:
            module = importlib.import_module(place)
    except DomainError:
        raise
    except (Exception, SystemExit) as error:
        raise DomainError(
            repr(target),
            f"importing {place} fails with {type(error).__name__}: {error}",
            "Run from the folder that the module lies in."
            if isinstance(error, ModuleNotFoundError)
            else "It has to run by itself.",
        ) from error
    return module, member(module, name, target)


def member(module: Any, name: str, target: str) -> Any:
    """What a dotted name means in a module.

    Raises:
        DomainError: if there is no such name.
    """
    found = module
    for part in name.split("."):
        found = getattr(found, part, None)
    if found is None:
        raise DomainError(repr(target), f"{module.__name__} has no {name}", "Check the spelling.")
    return found


def shape(text: str) -> tuple[int, ...]:
    """The shape that a text means: 2x3, 5 or scalar.

    Raises:
        DomainError: if it is none.

    >>> shape("1x28x28x1"), shape("5"), shape("scalar")
    ((1, 28, 28, 1), (5,), ())
    """
    if text in ("scalar", "()"):
        return ()
    parts = text.replace("×", "x").replace(",", "x").strip("()x").split("x")
    if not all(p.strip().isdecimal() for p in parts):
        raise DomainError(f"--shape {text}", "it is no shape", "Write 2x3, 5 or scalar.")
    return tuple(int(p) for p in parts)

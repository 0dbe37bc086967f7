"""`save` and `load`: arrays as safetensors, everything else as JSON in the head of the file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import GradgraphError, MissingExtraError
from ..files import write
from ..nn.module import Module
from ..version import VERSION

FORMAT = 1
_KEY = "gradgraph"  # under it: a checksum, a space, and the head as JSON
_GENERATOR = "numpy generator"
_GENERATORS = "/generators"  # no attribute can have that name


class CheckpointError(GradgraphError, ValueError):
    """A file that is no checkpoint, is damaged, or does not belong to what it is loaded into."""


def save(path: str | Path, /, *unnamed: Any, **parts: Any) -> None:
    """Save what a training needs to go on, in one file that appears as a whole or not at all.

    A part is anything with `state_dict` and `load_state_dict` (modules, optimisers, schedules,
    loaders), a numpy Generator, or plain data: numbers, texts, None, arrays, and lists and dicts of
    these (tuples, and arrays inside of others, come back as lists). The generators of a module's
    layers are saved with the module. Nothing is pickled, here or in
    `load`: arrays are stored as safetensors, everything else as JSON in the head of the file.

    Args:
        path: of the file; `.safetensors` is the usual ending.
        parts: what to save, by names of one's own.

    Raises:
        MissingExtraError: if safetensors is not installed.
        CheckpointError: if a part is none of these, or has no name, or one with a slash.
        OSError: if the file cannot be written; the old one is then untouched.

    >>> import tempfile
    >>> from gradgraph import nn, optim
    >>> path = Path(tempfile.mkdtemp()) / "net.safetensors"
    >>> net = nn.Linear(2, 1, rng=0)
    >>> sgd = optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    >>> save(path, net=net, sgd=sgd, epoch=3)
    >>> other = nn.Linear(2, 1, rng=1)
    >>> load(path, net=other)
    {'epoch': 3}
    >>> bool((other.w.data == net.w.data).all())
    True
    """
    _check_named("save", unnamed)
    module = _safetensors()
    arrays: dict[str, Any] = {}
    plain: dict[str, Any] = {}
    for name, part in parts.items():
        if not name or "/" in name:
            raise CheckpointError("save", f"a part is called {name!r}", "Use letters and dots.")
        for key, value in _state(part).items():
            if isinstance(value, np.ndarray):
                arrays[f"{name}/{key}"] = _laid_out(value)
            else:
                plain[f"{name}/{key}"] = value
    kinds = {name: _kind(part) for name, part in parts.items()}
    head = {"format": FORMAT, "version": VERSION, "parts": kinds, "state": plain}
    try:
        _check_keys(plain)
        text = json.dumps(head)
        metadata = {_KEY: f"{_digest(text, arrays)} {text}"}  # one entry: several have no order
        content = module.save(arrays, metadata=metadata)
    except Exception as error:  # of json for plain data, of safetensors for arrays
        raise CheckpointError(
            "save",
            f"a part cannot be saved: {error}",
            "Save numbers, texts, arrays of them, lists, and dicts whose keys are texts.",
        ) from None
    write(path, content)


def load(path: str | Path, /, *unnamed: Any, **parts: Any) -> dict[str, Any]:
    """Load parts of a file that `save` wrote into the objects given; all of them, or none.

    Args:
        path: of the file.
        parts: objects of the kinds that were saved under these names; what is left out is ignored.

    Returns:
        The plain data that was saved.

    Raises:
        CheckpointError: if the file is none of ours, is damaged, lacks a part, or does not fit, or
            an object is given without a name.
        FileNotFoundError: if there is no such file.
        MissingExtraError: if safetensors is not installed.
    """
    _check_named("load", unnamed)
    arrays, head = _read(Path(path))
    kinds, plain = head["parts"], head["state"]
    states: dict[str, dict[str, Any]] = {name: {} for name in kinds}
    for key, value in [*plain.items(), *arrays.items()]:
        name, _, rest = key.partition("/")
        states.setdefault(name, {})[rest] = value
    for name, part in parts.items():
        if name not in kinds:
            raise CheckpointError(
                "load",
                f"{path} holds {', '.join(sorted(kinds)) or 'nothing'}, but no {name!r}",
                "Use the names that it was saved with.",
            )
        kind = _kind(part)
        if kinds[name] != kind and not (kinds[name] and isinstance(part, Module)):
            raise CheckpointError(
                "load",
                f"{name} was saved as {kinds[name] or 'plain data'}, not as a"
                f" {kind or type(part).__name__}",
                "Plain data is returned by load; leave it out of the arguments."
                if kinds[name] is None
                else "Make what was saved.",
            )
    given = {name: states[name].get("") for name, kind in kinds.items() if kind is None}
    with ExitStack() as undo:
        for name, part in parts.items():
            undo.callback(_put, part, _state(part))
            try:
                _put(part, states[name])
            except (GradgraphError, TypeError, ValueError, KeyError, AttributeError) as error:
                raise CheckpointError(
                    "load",
                    f"{name} of {path} does not fit: {error}",
                    "Build it as it was when it was saved. Nothing was loaded.",
                ) from None
        undo.pop_all()
    return given


def _check_named(op: str, unnamed: Sequence[Any]) -> None:
    if unnamed:
        raise CheckpointError(
            op,
            f"a {type(unnamed[0]).__name__} is given without a name",
            f"Name what you {op}: {op}(path, model=net, optimizer=adam).",
        )


def _kind(part: Any) -> str | None:
    """How a part was saved: the name of its class; None for plain data."""
    if isinstance(part, np.random.Generator):
        return _GENERATOR
    return type(part).__name__ if hasattr(part, "state_dict") else None


def _state(part: Any) -> dict[str, Any]:
    """The state of a part, without levels; plain data under the empty key."""
    if isinstance(part, np.random.Generator):
        return {"state": _listed(part.bit_generator.state)}
    if not hasattr(part, "state_dict"):
        return {"": part if isinstance(part, np.ndarray) else _listed(part)}
    state = {
        k: v if isinstance(v, np.ndarray) else _listed(v) for k, v in part.state_dict().items()
    }
    if isinstance(part, Module):
        generators = {k: _listed(g.bit_generator.state) for k, g in part.named_generators()}
        state |= {_GENERATORS: generators} if generators else {}
    return state


def _put(part: Any, state: Mapping[str, Any]) -> None:
    """Load the state into the part."""
    state = dict(state)
    if isinstance(part, np.random.Generator):
        part.bit_generator.state = state["state"]
        return
    if isinstance(part, Module):
        saved, own = state.pop(_GENERATORS, {}), dict(part.named_generators())
        if saved.keys() != own.keys():
            raise ValueError(f"generators {sorted(saved)} were saved, and it has {sorted(own)}")
        part.load_state_dict(state)
        for key, generator in own.items():
            generator.bit_generator.state = saved[key]
        return
    part.load_state_dict(state)


def _listed(value: Any) -> Any:
    """The same with plain numbers for numpy's, and lists for arrays and tuples inside."""
    if isinstance(value, dict):
        return {k: _listed(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_listed(v) for v in value]
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def _check_keys(value: Any) -> None:
    """Raise if a dict has a key that is no text: JSON would make one of it."""
    if isinstance(value, dict):
        wrong = [key for key in value if not isinstance(key, str)]
        if wrong:
            raise TypeError(f"a dict has the key {wrong[0]!r}, which is no text")
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            _check_keys(inner)


def _laid_out(array: Any) -> Any:
    """The array in reading order and in the machine's byte order: the file stores plain memory."""
    return np.array(array, dtype=array.dtype.newbyteorder("="), order="C")


def _digest(text: str, arrays: Mapping[str, Any]) -> str:
    """A checksum of everything that is saved, so that no damaged bit goes unnoticed."""
    digest = hashlib.sha256(text.encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The arrays and the head of a file."""
    module = _safetensors()
    content = path.read_bytes()
    try:
        arrays = module.load(content)
        size = int.from_bytes(content[:8], "little")
        metadata = json.loads(content[8 : 8 + size]).get("__metadata__", {})
    except Exception as error:  # whatever the reader finds wrong with it
        raise CheckpointError(
            "load", f"{path} is no whole safetensors file: {error}", "Load an older checkpoint."
        ) from None
    if _KEY not in metadata:
        raise CheckpointError(
            "load",
            f"{path} is a safetensors file, but none that gradgraph's save wrote",
            "Read its arrays with safetensors, and pass them to load_state_dict.",
        )
    digest, _, text = metadata[_KEY].partition(" ")
    if text and digest != _digest(text, arrays):
        raise CheckpointError(
            "load", f"{path} is damaged: its checksum is another", "Load an older checkpoint."
        )
    try:
        head = json.loads(text)
        version = head["format"]
        kinds, state = head["parts"], head["state"]
        if not (isinstance(kinds, dict) and isinstance(state, dict)):
            raise TypeError("its parts are no dict")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise CheckpointError(
            "load", f"the head of {path} is damaged: {error}", "Load an older checkpoint."
        ) from None
    if version != FORMAT:
        raise CheckpointError(
            "load",
            f"{path} has format {version!r}, and this version reads {FORMAT}",
            f"It was written by gradgraph {head.get('version')}: install that version.",
        )
    return arrays, head


def _safetensors() -> Any:
    try:
        import safetensors.numpy
    except ImportError:
        raise MissingExtraError(
            "save",
            "checkpoints are stored as safetensors, which is not installed",
            'Run: pip install "gradgraph-engine[save]".',
        ) from None
    return safetensors.numpy

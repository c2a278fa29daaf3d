"""Reads JSON for the two who read it: answer.py takes vendors as they are, strict_json.py refuses what is ambiguous."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import accumulate, islice
from typing import Any

VALUES_MAX = 750_000  # in one body; built, a value takes some 100 bytes of memory

_OUTSIDE_STRINGS = re.compile(rb'([^"]*)(?:"[^"]*"?)?')
_NO_STRUCTURE = bytes(set(range(256)) - set(b'"[]{},'))
_STEP = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_PIECES = 10_000  # between strings, looked at together


class NotJson(ValueError):
    """What is wrong, as the end of "The body …"."""


def parse(body: bytes, *, depth: int, encoding: str = "", **hooks: Any) -> Any:
    """Return the value. Without an encoding it may be UTF-8, UTF-16 or UTF-32. `hooks` are those of json.loads.

    Lone surrogates are replaced, since no store takes them.
    Raises NotJson: what is not JSON, NaN and infinities, more than `depth` levels of nesting or VALUES_MAX values.
    """
    try:
        text = body.decode(encoding) if encoding else body.decode(json.detect_encoding(body), "surrogatepass")
    except UnicodeDecodeError:
        raise NotJson("is not UTF-8" if encoding else "is not JSON") from None
    _demand_small(body if encoding else text.encode("utf-8", "surrogatepass"), depth)
    try:
        value = json.loads(text, parse_constant=_refuse, **hooks)
    except NotJson:
        raise
    except (ValueError, RecursionError):  # not JSON, or a number of thousands of digits
        raise NotJson("is not JSON") from None
    return _without_surrogates(value) if "\\u" in text or not encoding else value


def _without_surrogates(value: Any) -> Any:
    """Replace halves of surrogate pairs, which no UTF-8 can carry further; `value` is not deep."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [_without_surrogates(part) for part in value]
    if isinstance(value, dict):
        return {_without_surrogates(name): _without_surrogates(part) for name, part in value.items()}
    return value


def _demand_small(body: bytes, depth: int) -> None:
    """Raise NotJson for UTF-8 with too many values or levels; counted before anything is built."""
    values, level = 0, 0
    for structure in _structure(body):
        brackets = structure.replace(b",", b"")
        values += structure.count(b",") + structure.count(b"[") + structure.count(b"{")
        if values > VALUES_MAX:
            raise NotJson(f"holds more than {VALUES_MAX} values")
        levels = list(accumulate(map(_STEP.__getitem__, brackets), initial=level))
        level = levels[-1]
        if max(levels) > depth:
            raise NotJson(f"is nested deeper than {depth} levels")


def _structure(body: bytes) -> Iterator[bytes]:
    """Yield the brackets and commas outside of strings, some at a time.

    Strings with nothing but a colon between them become one when their quotes are removed, which changes no structure.
    """
    unescaped = body.replace(rb"\\", b"").replace(rb"\"", b"")
    found = _OUTSIDE_STRINGS.finditer(unescaped.translate(None, _NO_STRUCTURE).replace(b'""', b""))
    while pieces := [piece[1] for piece in islice(found, _PIECES)]:
        yield b"".join(pieces)


def _refuse(name: str) -> Any:
    raise NotJson(f"holds {name}, which JSON does not know")

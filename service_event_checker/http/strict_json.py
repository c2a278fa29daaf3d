"""Reads untrusted JSON with limits for depth, numbers and repeated names. The caller limits the size."""

from __future__ import annotations

import json
import math
from typing import Any

from service_event_checker.core.errors import InvalidInput
from service_event_checker.http.json_reader import NotJson, parse

DEPTH_MAX = 32


def read(body: bytes) -> Any:
    """Return the parsed body. Raises InvalidInput, where `body`, with the problem as the end of "The body …".

    Refused: what is no UTF-8 or no JSON, NaN and infinities, names given twice, nesting over 32 levels, more
    than `json_reader.VALUES_MAX` values. Lone surrogates are replaced.
    """
    try:
        return parse(body, depth=DEPTH_MAX, encoding="utf-8-sig", parse_float=_finite, object_pairs_hook=_unique)
    except NotJson as error:
        raise _malformed(str(error)) from None


def is_json(body: bytes) -> bool:
    """Whether a lenient reader would take it as JSON: then the sender is known, and something else is wrong."""
    try:
        json.loads(body)
    except RecursionError:
        return True
    except ValueError:
        return False
    return True


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise _malformed("holds a number that is too large")
    return number


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a name that is given twice: two readers could each take another of the values."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _malformed("gives a name twice in one object")
    return found


def _malformed(problem: str) -> InvalidInput:
    return InvalidInput("body", problem)

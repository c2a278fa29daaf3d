"""Reads JSON that nobody can trust. Its size is the caller's affair; its depth and what JSON leaves open are ours."""

from __future__ import annotations

import json
import math
from typing import Any

from service_event_checker.core.errors import InvalidInput

DEPTH_MAX = 32


def read(body: bytes) -> Any:
    """Return the parsed body. Raises InvalidInput, where `body`, with the problem as the end of "The body …".

    Refused: what is no UTF-8 or no JSON, NaN and infinities, names given twice, nesting over 32 levels. Lone
    surrogates are replaced.
    """
    text = _text(body)
    value = _parse(text)
    if _depth_over(value, DEPTH_MAX):
        raise _malformed(f"is nested deeper than {DEPTH_MAX} levels")
    return _without_surrogates(value) if "\\u" in text else value


def is_json(body: bytes) -> bool:
    """Whether a lenient reader would take it as JSON: then its sender is one of ours, and wrong in something else."""
    try:
        json.loads(body)
    except RecursionError:
        return True
    except ValueError:
        return False
    return True


def _text(body: bytes) -> str:
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _malformed("is not UTF-8") from None


def _parse(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_no_number, parse_float=_finite, object_pairs_hook=_unique)
    except RecursionError:
        raise _malformed(f"is nested deeper than {DEPTH_MAX} levels") from None
    except ValueError:  # no JSON, or a number of thousands of digits
        raise _malformed("is no JSON") from None


def _no_number(name: str) -> Any:
    raise _malformed(f"holds {name}, which JSON does not know")


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


def _depth_over(value: Any, limit: int) -> bool:
    level = [value]
    for _ in range(limit + 1):
        below: list[Any] = []
        for part in level:
            if isinstance(part, dict):
                below.extend(part.values())
            elif isinstance(part, list):
                below.extend(part)
        if not below:
            return False
        level = below
    return True


def _without_surrogates(value: Any) -> Any:
    """Replace halves of surrogate pairs, which no UTF-8 can carry further; `value` is not deep."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [_without_surrogates(part) for part in value]
    if isinstance(value, dict):
        return {_without_surrogates(name): _without_surrogates(part) for name, part in value.items()}
    return value


def _malformed(problem: str) -> InvalidInput:
    return InvalidInput("body", problem)

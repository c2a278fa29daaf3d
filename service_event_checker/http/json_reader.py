"""Reads JSON for the two who read it: answer.py takes vendors as they are, strict_json.py refuses what is ambiguous."""

from __future__ import annotations

import json
from itertools import chain
from typing import Any


class NotJson(ValueError):
    """What is wrong, as the end of "The body …"."""


def parse(text: str | bytes, *, depth: int, **hooks: Any) -> Any:
    """Return the value; bytes may be UTF-8, UTF-16 or UTF-32. `hooks` are those of json.loads. Raises NotJson.

    Refused: what is not JSON, NaN and infinities, more than `depth` levels of nesting.
    """
    deep = f"is nested deeper than {depth} levels"
    try:
        value = json.loads(text, parse_constant=_refuse, **hooks)
    except RecursionError:
        raise NotJson(deep) from None
    except NotJson:
        raise
    except ValueError:  # not JSON, or a number of thousands of digits
        raise NotJson("is not JSON") from None
    if _deeper(value, depth):
        raise NotJson(deep)
    return value


def _refuse(name: str) -> Any:
    raise NotJson(f"holds {name}, which JSON does not know")


def _deeper(value: Any, limit: int) -> bool:
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(limit):
        level = list(chain.from_iterable(map(_nested, level)))
    return bool(level)


def _nested(value: Any) -> list[Any]:
    """Return the containers right inside a container."""
    children = value.values() if isinstance(value, dict) else value
    return [child for child in children if isinstance(child, dict | list)]

"""Adds an entry to the text of config.json, and leaves all else as a person has written it. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:,]|[^\s{}\[\]:,"]+')
_INDENT = "  "


class NotEditable(ValueError):
    """The file is not laid out so that the entry can be added; the text says why."""


@dataclass(frozen=True, slots=True)
class _Section:
    """Where an object lies: `opened` is behind its brace, `last` behind its last value, or -1 while it is empty.

    `gap` is what stands before its last name: the line end and the indent that a new one gets as well.
    """

    opened: int
    last: int = -1
    gap: str = ""


def with_entry(text: str, section: str, name: str, entry: Mapping[str, str]) -> str:
    """Return the text with `"name": entry` as the last of a section. Raises NotEditable."""
    try:
        before = json.loads(text)
    except ValueError:
        raise NotEditable("is not JSON") from None
    if not isinstance(before, dict) or not isinstance(before.get(section, {}), dict):
        raise NotEditable(f"{section} is not an object")
    if name in before.get(section, {}):
        raise NotEditable(f'{section} has a "{name}" already')
    written = f"{json.dumps(name)}: {json.dumps(entry, ensure_ascii=False)}"
    changed = _inserted(text, section, written)
    wanted = {**before, section: {**before.get(section, {}), name: dict(entry)}}
    if json.loads(changed) != wanted:
        raise NotEditable(f"{section} stands there more than once")
    return changed


def with_changed(text: str, section: str, name: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> str:
    """Return the text with another value of `"name"` in a section; all else stays. Raises NotEditable."""
    try:
        before = json.loads(text)
    except ValueError:
        raise NotEditable("is not JSON") from None
    entry = before.get(section, {}).get(name) if isinstance(before, dict) else None
    span = _span(text, section, name)
    if not isinstance(entry, dict) or span is None:
        raise NotEditable(f'{section} has no "{name}"')
    wanted = change(entry)
    written = json.dumps(wanted, ensure_ascii=False, indent=_INDENT if "\n" in text[slice(*span)] else None)
    line = text[: span[0]].rpartition("\n")[2]
    indent = line[: len(line) - len(line.lstrip())]
    changed = text[: span[0]] + written.replace("\n", f"\n{indent}") + text[span[1] :]
    if json.loads(changed) != {**before, section: {**before[section], name: wanted}}:
        raise NotEditable(f"{section} stands there more than once")
    return changed


def _span(text: str, section: str, name: str) -> tuple[int, int] | None:
    """Return where the value of a name in a section of the top object begins and ends."""
    tokens = list(_TOKEN.finditer(text))
    words = [token[0] for token in tokens]
    depths = _depths(words)
    first = _value_of(section, words, depths)
    for number in range(first or len(words), len(words) - 2):
        if depths[number] == 2 and words[number + 1] == ":" and json.loads(words[number]) == name:
            start = number + 2
            end = next(n for n in range(start + 1, len(words)) if depths[n] <= depths[start])
            return tokens[start].start(), tokens[end].end()
        if depths[number] < 2 and number > (first or 0):
            break
    return None


def _inserted(text: str, section: str, written: str) -> str:
    newline = "\r\n" if "\r\n" in text else "\n"
    found = _find(text, section)
    if found is None:
        top = _find(text, "")
        indent = f"{newline}{_INDENT}"
        lines = f"{indent}{json.dumps(section)}: {{{indent}{_INDENT}{written}{indent}}}"
        return _put(text, top or _Section(text.index("{") + 1), lines, newline)
    if found.last < 0:
        return _put(text, found, f"{newline}{_INDENT * 2}{written}", f"{newline}{_INDENT}")
    return _put(text, found, f"{found.gap or ' '}{written}", "")


def _put(text: str, place: _Section, entry: str, closing: str) -> str:
    """Insert behind the last value with a comma; into an empty object with `closing` before its brace."""
    if place.last >= 0:
        return f"{text[: place.last]},{entry}{text[place.last :]}"
    rest = text[place.opened :]
    return f"{text[: place.opened]}{entry}{closing}{rest.lstrip()}"


def _find(text: str, section: str) -> _Section | None:
    """Return where a section of the top object lies, the top object itself for ""; None where it is not there."""
    tokens = list(_TOKEN.finditer(text))
    words = [token[0] for token in tokens]
    depths = _depths(words)
    first = 0 if section == "" else _value_of(section, words, depths)
    if first is None:
        return None
    inner = depths[first] + 1
    end = next(number for number in range(first + 1, len(words)) if depths[number] < inner)
    if end == first + 1:
        return _Section(tokens[first].end())
    colons = (number for number in range(end, first, -1) if words[number] == ":" and depths[number] == inner)
    name = next(colons) - 1
    gap = text[tokens[name - 1].end() : tokens[name].start()]
    return _Section(tokens[first].end(), tokens[end - 1].end(), gap)


def _value_of(section: str, words: Sequence[str], depths: Sequence[int]) -> int | None:
    for number, word in enumerate(words[:-1]):
        if depths[number] == 1 and words[number + 1] == ":" and json.loads(word) == section:
            return number + 2
    return None


def _depths(words: Sequence[str]) -> list[int]:
    """Return in how many brackets each token stands; the brackets themselves count as outside."""
    found, depth = [], 0
    for word in words:
        depth -= word in ("}", "]")
        found.append(depth)
        depth += word in ("{", "[")
    return found

"""Reads the text of config.json: explains where it is not JSON, and finds keys that are given twice. Pure."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from service_event_checker import logs

WIDTH = 100  # characters of a line that are shown around a mistake
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:,]')
_COMMENT = ("//", "/*", "#")
_WORD = re.compile(r"[^\W\d]\w*")
_OTHER_QUOTES = frozenset("'`‘’‚“”„«»")
_SECRET = re.compile(r'(?i)("[^"]*(?:token|secret|passw|key|pat\b|webhook)[^"]*"\s*:\s*)("[^"]*"?|[^\s",}\]]+)')


class NotJson(ValueError):
    """The text is not JSON; `str` says where and why, over several lines."""


@dataclass(slots=True)
class _Open:
    """An object or list that is open at a token. `keys` maps the names of an object to where they were given."""

    path: str
    is_list: bool
    number: int = 0
    name: str | None = None
    keys: dict[str, int] = field(default_factory=dict)

    @property
    def inner(self) -> str:
        """The path of the value that comes next."""
        return f"{self.path}[{self.number}]" if self.is_list else f"{self.path}.{self.name}".removeprefix(".")


def read(body: bytes) -> tuple[Any, list[str]]:
    """Return the value of a JSON text, and a line for each key that its object has twice. Raises NotJson."""
    try:
        text = body.decode(json.detect_encoding(body)).removeprefix("\ufeff")
    except UnicodeDecodeError:
        raise NotJson("is not JSON: it is not text in UTF-8. Save it as UTF-8") from None
    try:
        return json.loads(text), repeated(text)
    except json.JSONDecodeError as error:
        raise NotJson(_explained(text, error)) from None
    except RecursionError:
        raise NotJson("is not JSON that can be read: it has very deeply nested brackets") from None
    except ValueError:  # a number of thousands of digits
        raise NotJson("is not JSON that can be read: it has a number of thousands of digits") from None


def repeated(text: str) -> list[str]:
    """Return a line for each key that is given twice in one object of a JSON text."""
    found: list[str] = []
    stack = [_Open("", is_list=True)]
    for token in _TOKEN.finditer(text):
        top, mark = stack[-1], token[0]
        if mark in "{[":
            stack.append(_Open(top.inner if len(stack) > 1 else "", is_list=mark == "["))
        elif mark in "}]":
            stack.pop()
        elif mark == ",":
            top.number, top.name = top.number + 1, None
        elif mark != ":" and not top.is_list and top.name is None:
            found += _take_name(top, json.loads(mark), token.start(), text)
    return found


def _take_name(top: _Open, name: str, at: int, text: str) -> list[str]:
    top.name = name
    before = top.keys.setdefault(name, at)
    if before == at:
        return []
    lines = f"in line {_line(text, before)} and in line {_line(text, at)}"
    return [f"{top.inner}: is given twice, {lines}. Remove one of them, or rename it"]


def _explained(text: str, error: json.JSONDecodeError) -> str:
    at = min(error.pos, len(text))
    cause, hint, shown = _cause(text, at, error.msg)
    column = at - text.rfind("\n", 0, at)
    lines = [_excerpt(text, shown, caret=True)]
    if _line(text, shown) != _line(text, at) and text[at:].strip():
        lines.append(_excerpt(text, at, caret=False))
    return f"is not JSON (line {_line(text, at)}, column {column}): {cause}. {hint}\n" + "\n".join(lines)


def _cause(text: str, at: int, message: str) -> tuple[str, str, int]:
    """Return the likely cause, what to do, and the place to point at."""
    rest, end = text[at:], len(text[:at].rstrip())
    before, here = text[:end], f"line {_line(text, max(end - 1, 0))}"
    if not text.strip():
        return "the file is empty", "Write {} for a configuration without anything", 0
    if rest.startswith(_COMMENT):
        return "JSON has no comments", "Remove it", at
    if rest[:1] in ("}", "]") and before.endswith(","):
        return f"a comma before the closing {rest[0]}, at the end of {here}", "Remove the comma", end - 1
    if re.match(r",\s*[}\]]", rest):  # as newer Pythons report it
        return f"a comma before a closing bracket, in line {_line(text, at)}", "Remove the comma", at
    if rest[:1] and rest[0] in _OTHER_QUOTES:
        return f"{rest[0]} is not a quote of JSON", 'Write names and texts in double quotes: "', at
    if message.startswith(("Unterminated", "Invalid control")):
        start = at if message.startswith("Unterminated") else max(text.rfind('"', 0, at), 0)
        return "a text has no closing quote in its line", 'Add the " at its end', start
    return _cause_of_place(rest, before, here, message, at)


def _cause_of_place(rest: str, before: str, here: str, message: str, at: int) -> tuple[str, str, int]:
    char, word, end = rest[:1], _WORD.match(rest), len(before)
    if not rest.strip():
        return "the file ends before everything is closed", "Add the missing } or ]", max(end - 1, 0)
    if message.startswith("Expecting ',' delimiter"):
        if char in "}]":
            return f"{char} does not close what is open", "Check the brackets before it", at
        if at == end and (char.isalnum() or char in "._"):
            return "a value is followed by more characters", "Write a number like 10 or 0.5, and texts in quotes", at
        return f"a comma is missing at the end of {here}", "Add it between the two values", end
    if message.startswith("Expecting ':' delimiter"):
        return "a colon is missing between a name and its value", 'Write "name": value', at
    if message.startswith("Extra data"):
        return "there is more after the end of the configuration", "Check for an extra }", at
    if char == ",":
        return "an extra comma", "Remove it", at
    if word and word[0].lower() in ("true", "false", "none", "null"):
        return f"{word[0]} is not a value of JSON", "Write true, false or null", at
    if word:
        return f"{word[0][:40]} is not in quotes", "Write names and texts in double quotes", at
    if message.startswith("Invalid \\"):
        return "a backslash in a text begins an unknown escape", "Write two of them: \\\\", at
    if message.startswith("Expecting value"):
        return "a value is missing, or is not one of JSON", "Write a text in quotes, a number, true, false or null", at
    return message[:1].lower() + message[1:], "Correct this place", at


def _excerpt(text: str, at: int, *, caret: bool) -> str:
    """Return one line of the text with its number, secrets masked; with a caret under the place."""
    start, end = text.rfind("\n", 0, at) + 1, text.find("\n", at)
    line = re.sub(r"\s", " ", text[start : len(text) if end < 0 else end]).rstrip()
    shown = logs.masked(_SECRET.sub(r'\1"…"', line))
    column = at - start
    if not shown.startswith(line[:column]):  # something before the place is masked
        column = max(len(shown) - (len(line) - column), 0)
    left = max(column - WIDTH * 3 // 4, 0)
    number = f"{_line(text, at):>5} | "
    under = f"\n{' ' * 5} | {' ' * (column - left)}^" if caret else ""
    return f"{number}{shown[left : left + WIDTH]}{under}"


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1

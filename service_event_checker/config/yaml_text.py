"""Reads the text of config.yaml as the values that config.json would have, with the line of each. Pure.

YAML 1.1 reads some plain words and numbers as something else (no, 0777, 1:30): these are refused, except as names. A
time stays text. Anchors, aliases and merge keys work within bounds. https://yaml.org/spec/1.1/, https://yaml.org/type/
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from service_event_checker import logs

SUFFIXES = (".yaml", ".yml")
BYTES_MAX = 256 * 1024
VALUES_MAX = 50_000  # aliases multiply what a short file holds
WIDTH = 100  # characters of a line that are shown at a mistake
_TAG = "tag:yaml.org,2002:"
_TEXTS = frozenset({"str", "timestamp", "value"})  # the last is a single =
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})(?P<fraction>\.[0-9]+(?:[eE][-+]?[0-9]{1,3})?)?")
_BOOLEANS = {"true": True, "false": False}
_SECRET = re.compile(r"(?i)([\w\"'-]*(?:token|secret|passw|key|pat\b|webhook)[\w\"'-]*\s*:\s*)(\S.*)")


class NotYaml(ValueError):
    """The text cannot be read as YAML; `str` says where and why."""


@dataclass(slots=True)
class _Reading:
    """What is gathered on the way. `inside`: the nodes around the one that is read."""

    problems: list[str] = field(default_factory=list)
    lines: dict[str, int] = field(default_factory=dict)
    inside: set[int] = field(default_factory=set)
    values: int = 0


def read(body: bytes) -> tuple[Any, list[str], Mapping[str, int]]:
    """Return the value, a line for each value that cannot be taken, and the line of each path like rules[0].send.

    Raises NotYaml.
    """
    if len(body) > BYTES_MAX:
        raise NotYaml(f"has more than {BYTES_MAX // 1024} KB. Shorten it")
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise NotYaml("is not YAML: it is not text in UTF-8. Save it as UTF-8") from None
    reading = _Reading()
    try:
        node = _composed(text)
        if node is None:
            raise NotYaml("is empty. Write {} for a configuration without anything")
        value = _value(node, "", reading)
    except RecursionError:
        raise NotYaml("is not YAML that can be read: it is nested very deeply") from None
    return value, reading.problems, reading.lines


def explained(problems: Iterable[str], unread: Iterable[str], lines: Mapping[str, int]) -> list[str]:
    """Return the problems with their lines; of a value that could not be read, only why."""
    known = {_path(problem): problem for problem in unread} if lines else {}
    return [located(problem, lines) for problem in problems if known.get(_path(problem), problem) == problem]


def located(problem: str, lines: Mapping[str, int]) -> str:
    """Return a problem like `rules[0].send: what is wrong` with the line of its path, or of what is around it."""
    path, colon, rest = problem.partition(":")
    known = path.partition(" ")[0]
    while known and known not in lines:
        known = known[: max(known.rfind("."), known.rfind("["), 0)]
    return f"{path} (line {lines[known]}){colon}{rest}" if known and colon else problem


def _path(problem: str) -> str:
    return problem.partition(":")[0]


def _composed(text: str) -> Any:
    try:
        import yaml
    except ImportError:
        hint = "pip install --require-hashes -r requirements.txt"
        raise NotYaml(f"is YAML, and PyYAML is not installed. Run: {hint}") from None
    try:
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise NotYaml(_explained(text, f"{error.problem or error.context}", mark.line, mark.column)) from None
    except yaml.YAMLError as error:  # a character that no YAML may hold
        line = text.count("\n", 0, getattr(error, "position", 0))
        raise NotYaml(_explained(text, "a control character", line, 0)) from None


def _explained(text: str, problem: str, line: int, column: int) -> str:
    hint = "Check the indentation, the quotes, and the blank behind each colon"
    if "\\t" in problem:
        problem, hint = "a tab in the indentation", "Indent with spaces"
    elif "another document" in problem:
        problem, hint = "a second document begins here", "Leave one document in the file, without --- between"
    elif "undefined alias" in problem:
        hint = "Define it with & before, or put a text that begins with * in quotes"
    shown = (text.splitlines() or [""])[min(line, max(len(text.splitlines()) - 1, 0))]
    shown = logs.masked(_SECRET.sub(r"\1…", shown))[:WIDTH]
    return f"is not YAML (line {line + 1}, column {column + 1}): {problem}. {hint}\n{line + 1:>5} | {shown}"


def _value(node: Any, path: str, reading: _Reading) -> Any:
    """Return what a node holds; None, with a problem, for what cannot be taken."""
    reading.values += 1
    if reading.values > VALUES_MAX:
        raise NotYaml(f"has more than {VALUES_MAX} values, aliases included. Use fewer aliases")
    if path:
        reading.lines.setdefault(path, node.start_mark.line + 1)
    if node.id == "scalar":
        return _scalar(node, path, reading)
    if id(node) in reading.inside:
        raise NotYaml(f"cannot be read: line {_line(node)} holds an alias of itself. Remove the alias")
    if node.tag != f"{_TAG}{'seq' if node.id == 'sequence' else 'map'}":
        return _refused(path, f"has the tag {_shown(node.tag)}. Leave the tag out", node, reading)
    reading.inside.add(id(node))
    if node.id == "sequence":
        found: Any = [_value(each, f"{path}[{number}]", reading) for number, each in enumerate(node.value)]
    else:
        found = _mapping(node, path, reading)
    reading.inside.discard(id(node))
    return found


def _mapping(node: Any, path: str, reading: _Reading) -> dict[str, Any]:
    found: dict[str, Any] = {}
    merged: dict[str, Any] = {}
    given: dict[str, int] = {}
    for key, value in node.value:
        if key.id != "scalar":
            _refused(path, "has a name that is a list or an object. Write a text", key, reading)
            continue
        if key.tag == f"{_TAG}merge":
            for name, each in _merged(value, path, reading):
                merged.setdefault(name, each)
            continue
        inner = f"{path}.{key.value}".removeprefix(".")
        before = given.setdefault(key.value, _line(key))
        if key.value in found:
            lines = f"in line {before} and in line {_line(key)}"
            reading.problems.append(f"{inner}: is given twice, {lines}. Remove one of them, or rename it")
        reading.lines[inner] = _line(key)
        found[key.value] = _value(value, inner, reading)
    return {**merged, **found}


def _merged(node: Any, path: str, reading: _Reading) -> Iterator[tuple[str, Any]]:
    """Yield what a merge key brings: https://yaml.org/type/merge.html"""
    for part in node.value if node.id == "sequence" else [node]:
        if part.id != "mapping":
            _refused(path, "merges with << what is not an object. Name an object", part, reading)
            continue
        found = _value(part, path, reading)
        yield from found.items() if isinstance(found, dict) else ()


def _scalar(node: Any, path: str, reading: _Reading) -> Any:
    kind = node.tag.removeprefix(_TAG)
    if node.style is not None or kind in _TEXTS:
        allowed = kind in _TEXTS or (node.style is not None and node.tag == "!")
        return node.value if allowed else _refused(path, f"has the tag {_shown(node.tag)}. Leave it out", node, reading)
    if kind == "null":
        return None
    if kind == "bool" and node.value.lower() in _BOOLEANS:
        return _BOOLEANS[node.value.lower()]
    number = _NUMBER.fullmatch(node.value)
    if kind in ("int", "float") and number:
        return float(node.value) if number["fraction"] else int(node.value)
    meant = {"bool": "true or false", "int": "a whole number", "float": "a number"}.get(kind)
    if meant is None:
        return _refused(path, f"has the tag {_shown(node.tag)}. Leave it out", node, reading)
    plain = "Write true or false" if kind == "bool" else "Write it with decimal digits, like 10 or 0.5"
    problem = f'{node.value[:40]} without quotes is {meant} in YAML. {plain}; a text in quotes: "{node.value[:40]}"'
    return _refused(path, problem, node, reading)


def _refused(path: str, problem: str, node: Any, reading: _Reading) -> None:
    reading.problems.append(f"{path or 'the file'}: {problem}")
    reading.lines.setdefault(path or "the file", _line(node))


def _line(node: Any) -> int:
    return int(node.start_mark.line) + 1


def _shown(tag: str) -> str:
    return logs.masked(tag.replace(_TAG, "!!"))[:60]

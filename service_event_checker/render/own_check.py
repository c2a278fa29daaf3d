"""Reads and checks the templates of users at start: their place, syntax, names, and output for the sample alerts.

A problem is a line with path, line and remedy; it stops the start, as every mistake of the configuration does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from jinja2 import Environment, TemplateSyntaxError

from service_event_checker.core.model import Alert
from service_event_checker.core.vocabulary import Kind, Verb
from service_event_checker.render import sample, sandbox, voice
from service_event_checker.render.notice import notice
from service_event_checker.render.own import TITLE, Form, Own, Owns, filled, line_of, reason
from service_event_checker.render.own_values import filters
from service_event_checker.render.text import line

ANY = "any"
VERBS = tuple(verb for verb in Verb if verb is not Verb.RUN)
FILE_MAX = 64 * 1024  # bytes
FILES_MAX = 500
_UNQUOTED = re.compile(r"=\s*\{\{")
_ADDRESS = re.compile(r"""\b(?:href|src|action)\s*=\s*["']?\s*\{\{(?![^}]*\|\s*link\s*\}\})""", re.IGNORECASE)
_SCRIPT = re.compile(r"<\s*script|\bon[a-z]+\s*=", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A configured destination, as its templates see it: `forms` by part, like "subject.txt"."""

    name: str
    kind: str
    forms: Mapping[str, Form]
    voice: voice.Voice = voice.Voice()


def read(folder: Path, targets: Mapping[str, Target], names: frozenset[str]) -> tuple[Owns, list[str]]:
    """Read and check the templates of a folder; return them, and what is wrong: lines with path, line and remedy.

    `names`: of all kinds, and of destinations that are off; their folders are left unchecked.
    """
    try:
        files, problems = _files(folder)
    except OSError as error:
        hint = "Set TEMPLATES_DIR to a folder that the app may read, or leave it empty"
        return {}, [f"{folder}: cannot be read: {error.strerror}. {hint}"]
    known = {*targets, *names}
    for path in files:
        problems += _misplaced(folder, path, targets, known)
    owns: Owns = {}
    for target in targets.values():
        found, wrong = _of_target(folder, files, target)
        owns |= found
        problems += wrong
    return owns, list(dict.fromkeys(problems))


def _files(folder: Path) -> tuple[dict[str, str], list[str]]:
    files: dict[str, str] = {}
    problems = []
    if not folder.is_dir():
        raise NotADirectoryError(0, "it is not a folder")
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if not path.is_file() or any(each.startswith(".") for each in path.relative_to(folder).parts):
            continue
        if len(files) >= FILES_MAX or path.stat().st_size > FILE_MAX:
            problems.append(
                f"{path}: is larger than {FILE_MAX} bytes, or one of more than {FILES_MAX} files. Remove it"
            )
            continue
        try:
            files[name] = path.read_text("utf-8")
        except UnicodeDecodeError:
            problems.append(f"{path}: is not UTF-8 text. Save it as UTF-8, or remove it")
    return files, problems


def _misplaced(folder: Path, name: str, targets: Mapping[str, Target], known: set[str]) -> Iterator[str]:
    """Yield what is wrong with where a file lies: it would never be used."""
    place, _, file = name.partition("/")
    if name.startswith("_") or "/_" in name or not file:
        return
    if place not in known:
        configured = ", ".join(sorted(targets)) or "none"
        yield f"{folder / name}: no destination and no kind is called {place}. Destinations: {configured}"
        return
    verb, _, part = file.partition(".")
    if verb not in (*VERBS, ANY):
        yield f"{folder / name}: {verb} is not a verb. Name the file {', '.join(VERBS)} or {ANY}, with a part: open.txt"
    forms = [set(target.forms) for target in targets.values() if place in (target.name, target.kind)]
    if forms and part not in set().union(*forms):
        parts = ", ".join(sorted(set().union(*forms))) or "no part, so it has no templates"
        yield f"{folder / name}: {place} has no part {part}. It has: {parts}"


def _of_target(folder: Path, files: Mapping[str, str], target: Target) -> tuple[Owns, list[str]]:
    owns: Owns = {}
    problems: list[str] = []
    for part, form in target.forms.items():
        made = sandbox.environment(files, form.escape, filters(form.address), html=form.html)
        for verb in (Verb.OPEN,) if part == TITLE else VERBS:
            places = ((place, word) for place in (target.name, target.kind) for word in (verb.value, ANY))
            names = (f"{place}/{word}.{part}" for place, word in places)
            name = next((each for each in names if each in files), "")
            if not name:
                continue
            own, wrong = _checked(folder / name, name, files[name], made, form, target, verb)
            problems += wrong
            if own:
                owns[target.name, verb, part] = own
    return owns, problems


def _checked(
    path: Path, name: str, text: str, made: Environment, form: Form, target: Target, verb: Verb
) -> tuple[Own | None, list[str]]:
    """Compile a template and fill it with the sample alerts; return it, or what is wrong."""
    problems = list(_unsafe(path, text)) if form.html else []
    try:
        own = Own(str(path), made.get_template(name), form)
        with voice.using(target.voice):
            for alert in _samples(verb):
                delivery = sample.delivery(alert, target.name, verb, actor="ada", note="a note")
                filled(own, delivery, alert, notice(alert, verb, alert.updated_at, actor="ada", note="a note"))
    except TemplateSyntaxError as error:
        file = path if error.name in (None, name) else f"{path} (in {error.name})"
        problems.append(f"{file}:{error.lineno}: {line(error.message or 'is not a template', 200)}. Correct the syntax")
    except Exception as error:  # noqa: BLE001  # a template can raise anything; here it stops the start
        problems.append(f"{path}:{line_of(error, name)}: {reason(error)}")
    return (None, problems) if problems else (own, [])


def _samples(verb: Verb) -> Iterator[Alert]:
    now = datetime.now(UTC)
    firing = sample.alert(now)
    vendor = replace(firing, kind=Kind.OUTAGE, labels={"component": "API"}, annotations={}, test=False)
    for alert in (firing, vendor):
        yield sample.over(alert, now) if verb is Verb.CLOSE else alert


def _unsafe(path: Path, text: str) -> Iterator[str]:
    for number, written in enumerate(text.splitlines(), 1):
        if _UNQUOTED.search(written):
            yield f'{path}:{number}: an attribute takes a value without quotes. Write name="{{{{ … }}}}"'
        if _ADDRESS.search(written):
            yield f'{path}:{number}: an address is not checked. Write href="{{{{ … | link }}}}"'
        if _SCRIPT.search(written):
            yield f"{path}:{number}: scripts are not allowed. Remove the script or the on… attribute"

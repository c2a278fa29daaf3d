"""The parts of docs/configuration.md and .env.example that are made from the models of destinations.

A part stands between a marker that names its kinds and an end marker; the prose around it is written by hand. What a
key means is the text below the field. A test keeps the committed files true.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from service_event_checker import plugins
from service_event_checker.cli.config_docs import shown
from service_event_checker.cli.config_schema import written
from service_event_checker.config.models import DestinationConfig

EVERY, PACE = "every", "pace"  # the names of parts that are not of some kinds
COMMENT_COLUMN, WIDTH = 32, 120  # characters, of .env.example
_OF_THE_PLATFORM = "KUBERNETES_SERVICE_"  # begins variables that Kubernetes sets in each pod
_EMPTY = re.compile(r"\| +(?=\|)")
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
_PARTS = re.compile(
    r"^(?P<begin>(?:<!--|#) generated: (?P<names>[a-z_ ]+?)(?: -->)?)\n"
    r"(?:.*?\n)??(?P<end>(?:<!--|#) end of generated(?: -->)?)$",
    re.MULTILINE | re.DOTALL,
)


def refreshed(text: str) -> str:
    """Return a file with its generated parts made anew: tables in Markdown, lines of variables behind `#`."""
    apart = _PARTS.sub("", text)

    def made(found: re.Match[str]) -> str:
        names = found["names"].split()
        lines = _table(names) if found["begin"].startswith("<!--") else _variables(names, apart)
        blank = "\n" if found["begin"].startswith("<!--") else ""  # a table begins after an empty line
        return "\n".join([found["begin"] + blank, *lines, blank + found["end"]])

    return _PARTS.sub(made, text)


def _table(names: list[str]) -> Iterator[str]:
    if names == [PACE]:
        yield from _pace()
        return
    own = names != [EVERY]
    yield "| key | default | Default from environment | meaning |" if own else "| key | default | meaning |"
    yield "| --- | --- | --- | --- |" if own else "| --- | --- | --- |"
    models = [_model(kind) for kind in names] if own else [DestinationConfig]
    if not own:
        kinds = ", ".join(f"`{kind}`" for kind in plugins.kinds(plugins.DESTINATIONS))
        yield f"| `kind` | required | the adapter: {kinds} |"
    for key in dict.fromkeys(key for model in models for key in _fields(model)):
        yield from _rows(key, [model for model in models if key in _fields(model)], every=len(models), own=own)


def _rows(key: str, models: list[type[DestinationConfig]], *, every: int, own: bool) -> Iterator[str]:
    """Yield one row for each meaning that a key has."""
    groups: dict[tuple[str, str], list[type[DestinationConfig]]] = {}
    for model in models:
        field = _fields(model)[key]
        groups.setdefault((_default(model, key, field), meaning(field)), []).append(model)
    for (default, means), group in groups.items():
        only = "" if len(group) == every else ", ".join(f"`{_kind(model)}`" for model in group) + ": "
        variables = ", ".join(dict.fromkeys(f"`{each}`" for model in group for each in _variables_of(model, key)))
        cells = [f"`{key}`", default, *([variables] if own else []), (only + means).replace("|", "\\|")]
        yield _EMPTY.sub("| ", f"| {' | '.join(cells)} |")


def _pace() -> Iterator[str]:
    yield "| kind | `settle` | `reopen_within` | `update_every` | `rate`, `burst` |"
    yield "| --- | --- | --- | --- | --- |"
    rows: dict[str, list[str]] = {}
    for kind in plugins.kinds(plugins.DESTINATIONS):
        model = _model(kind)
        times = " | ".join(
            f"`{written(each) if each else '0s'}`" for each in (model.SETTLE, model.REOPEN_WITHIN, model.UPDATE_EVERY)
        )
        rows.setdefault(f"{times} | {model.RATE[0]:g}, {model.RATE[1]}", []).append(f"`{kind}`")
    for row, kinds in rows.items():
        yield f"| {', '.join(kinds)} | {row} |"


def _variables(kinds: list[str], apart: str) -> Iterator[str]:
    """Yield the variables of kinds, each once; not those that the rest of the file, `apart`, explains."""
    seen = set(re.findall(r"^# ([A-Z][A-Z0-9_]+)=", apart, re.MULTILINE))
    for kind in kinds:
        for key, field in _fields(_model(kind)).items():
            for number, name in enumerate(_variables_of(_model(kind), key)):
                if name in seen or name.startswith(_OF_THE_PLATFORM):
                    continue
                seen.add(name)
                default = field.get_default()
                value = default if isinstance(default, str | int) and not number else ""
                first = _variables_of(_model(kind), key)[0]
                yield from _variable(
                    f"# {name}={value}", f"the same as {first}, if that is not set" if number else meaning(field)
                )


def _variable(start: str, means: str) -> Iterator[str]:
    room = max(len(start) + 4, COMMENT_COLUMN)
    plain = _LINK.sub(r"\1", re.sub(r"[`*]", "", means))
    first, *more = textwrap.wrap(plain, WIDTH - room - 2, break_long_words=False) or [""]
    yield f"{start:<{room}}# {first}".rstrip()
    yield from (f"#{'':<{COMMENT_COLUMN + 1}}{line}" for line in more)


def meaning(field: FieldInfo) -> str:
    """Return what a key means, in one line."""
    return " ".join((field.description or "").split())


def _model(kind: str) -> type[DestinationConfig]:
    found = plugins.destination_config(kind)
    if found is None:
        raise ValueError(f"a part names {kind}, which is no kind of destination")
    return found


def _fields(model: type[DestinationConfig]) -> dict[str, FieldInfo]:
    """Return the fields of a model by key; of a kind without those that every destination has alike."""
    base = {} if model is DestinationConfig else DestinationConfig.model_fields
    own = {
        name: field
        for name, field in model.model_fields.items()
        if name not in base or meaning(field) != meaning(base[name])
    }
    return {field.alias or name: field for name, field in own.items() if name != "kind"}


def _variables_of(model: type[DestinationConfig], key: str) -> tuple[str, ...]:
    name = next(name for name, field in model.model_fields.items() if (field.alias or name) == key)
    return model.ENV.get(name, ())


def _default(model: type[DestinationConfig], key: str, field: FieldInfo) -> str:
    name = next(each for each, found in model.model_fields.items() if found is field)
    if field.is_required() or (name in model.NEEDS and not model.STAND_IN):
        return "required"
    value = field.get_default()
    return "" if isinstance(value, SecretStr) else shown(value)


def _kind(model: type[DestinationConfig]) -> str:
    return str(model.model_fields["kind"].get_default())

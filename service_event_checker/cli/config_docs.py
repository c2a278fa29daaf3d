"""docs/keys.md: all keys of config.json by kind, made from the models that check it.

A test keeps the committed file true. docs/configuration.md explains the keys; this table is complete.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

from pydantic.fields import FieldInfo

from service_event_checker import plugins
from service_event_checker.cli.config_schema import written
from service_event_checker.config.actions import ActionConfig
from service_event_checker.config.models import CheckerConfig, DestinationConfig, Model, SourceConfig
from service_event_checker.plugins import Package

_HEAD = """# All keys of config.json

This page is generated from the code: `./outage config docs > docs/keys.md`. [Configuration](configuration.md) explains
it. *Required*: without a value, the entry is off. *Environment*: variables that fill the key if the file leaves it out.
"""
_TABLE = "| key | default | environment |\n| --- | --- | --- |"


def as_text() -> str:
    """Return the page as the committed file holds it."""
    return "\n".join((_HEAD, *_sections()))


def _sections() -> Iterator[str]:
    of_kind: tuple[tuple[str, Package, Callable[[str], type[Model] | None], type[Model]], ...] = (
        ("checker", plugins.CHECKERS, plugins.checker_config, CheckerConfig),
        ("destination", plugins.DESTINATIONS, plugins.destination_config, DestinationConfig),
        ("source", plugins.SOURCES, plugins.source_config, SourceConfig),
        ("action", plugins.ACTIONS, plugins.action_config, ActionConfig),
    )
    for section, package, config_of, base in of_kind:
        yield f"## Every {section}\n\n{_TABLE}\n{_rows(base, ())}\n"
        for kind in plugins.kinds(package):
            model = config_of(kind)
            if model is not None:
                yield f"### {section} `{kind}`\n\n{_own(model, base)}\n"


def _own(model: type[Model], base: type[Model]) -> str:
    """Return what a kind has besides the keys of every kind, and its own defaults of these."""
    lines = []
    if issubclass(model, DestinationConfig):
        rate, burst = model.RATE
        storm = f", `storm` {model.STORM.messages} in `{written(model.STORM.within)}`" if model.STORM else ""
        lines.append(
            f"`settle` `{written(model.SETTLE)}`, `reopen_within` `{written(model.REOPEN_WITHIN)}`, `update_every` "
            f"`{written(model.UPDATE_EVERY)}`, `rate` `{rate:g}`, `burst` `{burst}`{storm}\n"
        )
    rows = _rows(model, tuple(base.model_fields))
    lines.append(f"{_TABLE}\n{rows}" if rows else "No other keys.")
    return "\n".join(lines)


def _rows(model: type[Model], known: tuple[str, ...]) -> str:
    fields = {name: each for name, each in model.model_fields.items() if name not in known or name in model.ENV}
    return "\n".join(_row(model, name, each) for name, each in fields.items() if name != "kind")


def _row(model: type[Model], name: str, field: FieldInfo) -> str:
    variables = ", ".join(f"`{each}`" for each in model.ENV.get(name, ()))
    needed = field.is_required() or name in model.NEEDS
    return f"| `{field.alias or name}` | {'required' if needed else shown(field.get_default())} | {variables} |"


def shown(value: Any) -> str:
    """Return a default for people, "" for none."""
    if isinstance(value, timedelta):
        return f"`{written(value)}`"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, str | int | float) and value != "":
        return f"`{value}`"
    if isinstance(value, dict) and value:
        return ", ".join(f"`{key}`: `{each}`" for key, each in value.items())
    return ""

"""docs/config.schema.json: the JSON Schema of config.json, made from the models that check it.

For editors only; what decides at start is config/load.py. A test keeps the committed file true.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, models_json_schema
from pydantic_core import core_schema

from service_event_checker import plugins
from service_event_checker.config.file import File as ConfigFile
from service_event_checker.config.load import MOVED_TO
from service_event_checker.config.models import Model
from service_event_checker.plugins import Package

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_ENV_REF = {"$ref": "#/$defs/env"}
_ENV = {
    "type": "string",
    "pattern": r"^env:\s*[A-Za-z_][A-Za-z0-9_]*\s*$",
    "description": 'The value of an environment variable, as "env:NAME". Secrets are written in no other way.',
}
_DURATION = {"anyOf": [{"type": "string", "pattern": r"^(\s*[0-9.]+\s*(ms|s|m|h|d))+\s*$"}, {"type": "number"}]}
_UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_MOVED = {
    "type": "object",
    "required": [MOVED_TO],
    "properties": {MOVED_TO: {"type": "string", "description": "The name that this destination has now."}},
    "additionalProperties": False,
}
_NAMES = {"pattern": "^[a-z0-9][a-z0-9_-]{0,39}$"}


class _Generator(GenerateJsonSchema):
    """Describes durations as the file writes them: "60s", "5m", "1h30m", or a number of seconds."""

    def timedelta_schema(self, schema: core_schema.TimedeltaSchema) -> JsonSchemaValue:
        return {**_DURATION}

    def encode_default(self, dft: Any) -> Any:
        if isinstance(dft, timedelta):
            return written(dft)
        return super().encode_default(dft)


def as_text() -> str:
    """Return the schema as the committed file holds it."""
    return json.dumps(build(), indent=1, ensure_ascii=False) + "\n"


def build() -> dict[str, Any]:
    """Return the JSON Schema of config.json with the adapters that there are."""
    sections: dict[str, dict[str, type[Model]]] = {
        "checkers": _models(plugins.CHECKERS, plugins.checker_config),
        "destinations": _models(plugins.DESTINATIONS, plugins.destination_config),
        "sources": _models(plugins.SOURCES, plugins.source_config),
        "actions": _models(plugins.ACTIONS, plugins.action_config),
    }
    models: list[type[Model]] = [ConfigFile, *(model for kinds in sections.values() for model in kinds.values())]
    places, made = models_json_schema([(model, "validation") for model in models], schema_generator=_Generator)
    defs: dict[str, Any] = {"env": _ENV, **_untitled(made["$defs"])}
    names = {model: places[model, "validation"]["$ref"].removeprefix("#/$defs/") for model in models}
    for section, kinds in sections.items():
        for kind, model in kinds.items():
            defs[names[model]] = _adapter(kind, model, defs[names[model]])
        defs[section] = _section({kind: names[model] for kind, model in kinds.items()})
    defs["destinations"]["additionalProperties"] = {"anyOf": [_MOVED, defs["destinations"]["additionalProperties"]]}
    file = defs.pop(names[ConfigFile])
    file["properties"] |= {section: {"$ref": f"#/$defs/{section}"} for section in sections}
    return {"$schema": DIALECT, "title": "config.json of the Platform Outage Checker", **file, "$defs": defs}


def _models(package: Package, config_of: Callable[[str], type[Model] | None]) -> dict[str, type[Model]]:
    found = {kind: config_of(kind) for kind in plugins.kinds(package)}
    return {kind: model for kind, model in found.items() if model}


def _section(names: Mapping[str, str]) -> dict[str, Any]:
    """Return the schema of a section: entries by name, each as its `kind` says."""
    cases = [
        {"if": {"properties": {"kind": {"const": kind}}}, "then": {"$ref": f"#/$defs/{name}"}}
        for kind, name in sorted(names.items())
    ]
    entry = {"type": "object", "required": ["kind"], "properties": {"kind": {"enum": sorted(names)}}, "allOf": cases}
    return {"type": "object", "propertyNames": _NAMES, "additionalProperties": entry}


def _adapter(kind: str, model: type[Model], schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return an adapter's schema with what config/load.py allows besides: `env:NAME`, and values of the environment."""
    properties = {}
    for field, definition in model.model_fields.items():
        name = definition.alias or field
        properties[name] = _property(field, model, schema["properties"][name])
    properties["kind"] = {"const": kind}
    required = [name for name in schema.get("required", ()) if name not in model.ENV and name != "kind"]
    return {**schema, "properties": properties, "required": ["kind", *required]}


def _property(field: str, model: type[Model], schema: dict[str, Any]) -> dict[str, Any]:
    frame: dict[str, Any] = {name: schema[name] for name in ("default", "description") if name in schema}
    bare = {name: value for name, value in schema.items() if name not in frame}
    hints = [f"{frame['description'].rstrip('.')}."] if "description" in frame else []
    if field in model.ENV:
        hints.append(f"Left out: the value of {' or '.join(model.ENV[field])}.")
    if field in model.NEEDS and field not in model.INSTEAD:
        hints.append("Without it the entry is off.")
    frame |= {"description": " ".join(hints)} if hints else {}
    if "password" in json.dumps(bare):
        return {**_ENV_REF, **{name: value for name, value in frame.items() if name != "default"}}
    return {**bare, **frame} if bare == {"type": "string"} else {"anyOf": [bare, _ENV_REF], **frame}


def _untitled(schema: Any) -> Any:
    """Drop the titles that pydantic makes of names."""
    if isinstance(schema, list):
        return [_untitled(part) for part in schema]
    if isinstance(schema, dict):
        kept = {name: part for name, part in schema.items() if name != "title" or isinstance(part, dict)}
        return {name: part if name == "default" else _untitled(part) for name, part in kept.items()}
    return schema


def written(span: timedelta) -> str:
    """Return a duration in the largest unit that divides it."""
    seconds = int(span.total_seconds())
    unit = next(unit for unit in _UNITS if seconds % _UNITS[unit] == 0)
    return f"{seconds // _UNITS[unit]}{unit}"

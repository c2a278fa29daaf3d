"""Texts for invalid values of config.json: `path: problem. hint`. They never contain the value."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

# Error type of pydantic (https://docs.pydantic.dev/latest/errors/validation_errors/): the problem, and how to fix it.
_PLAIN = {
    "missing": ("is missing", "Add it"),
    "string_type": ("is not text", 'Write it in "quotes"'),
    "int_type": ("is not a whole number", "Write it like 2"),
    "int_parsing": ("is not a whole number", "Write it like 2"),
    "int_from_float": ("is not a whole number", "Write it like 2"),
    "float_type": ("is not a number", "Write it like 0.5"),
    "float_parsing": ("is not a number", "Write it like 0.5"),
    "bool_type": ("is not true or false", "Write true or false, without quotes"),
    "bool_parsing": ("is not true or false", "Write true or false, without quotes"),
    "time_delta_type": ("is not a duration", 'Write it like "60s", "5m" or "1h30m"'),
    "tuple_type": ("is not a list", "Write it in [square brackets]"),
    "dict_type": ("is not an object", "Write it in {braces}"),
    "model_type": ("is not an object", "Write it in {braces}"),
    "too_short": ("is empty", "Name at least one"),
    "string_too_short": ("is empty", "Fill it in"),
    "string_too_long": ("is too long", "Shorten it"),
    "timezone_aware": ("has no time zone", 'Write it like "2026-01-31T12:00:00Z"'),
    "datetime_type": ("is not a time", 'Write it like "2026-01-31T12:00:00Z"'),
    "datetime_parsing": ("is not a time", 'Write it like "2026-01-31T12:00:00Z"'),
    "datetime_from_date_parsing": ("is not a time", 'Write it like "2026-01-31T12:00:00Z"'),
}
_BOUNDS = {
    "greater_than_equal": ("is too small", "Give at least {ge}"),
    "greater_than": ("is too small", "Give more than {gt}"),
    "less_than_equal": ("is too large", "Give at most {le}"),
    "less_than": ("is too large", "Give less than {lt}"),
    "literal_error": ("is not one of the known values", "Give {expected}"),
    "enum": ("is not one of the known values", "Give {expected}"),
}
_DURATION = re.compile(r"datetime\.timedelta\((?:(day)s=|seconds=)?(\d+)\)")


def explain(
    error: ValidationError, where: str, model: type[BaseModel], variables: Mapping[str, str] | None = None
) -> list[str]:
    """Turn pydantic's errors of `model` into lines; `where` is the model's path in the file.

    `variables`: by field, the variable of the environment that its value came from.
    """
    lines = []
    for part in error.errors(include_url=False, include_input=False):
        steps = [f"[{step}]" if isinstance(step, int) else f".{step}" for step in part["loc"]]
        path = (where + "".join(steps)).removeprefix(".") or "the file"
        if variables and part["loc"] and part["loc"][0] in variables:
            path += f" ({variables[str(part['loc'][0])]})"
        lines.append(f"{path}: {_said(part['type'], part['msg'], part.get('ctx', {}), part['loc'], model)}")
    return lines


def by_field(error: ValidationError) -> list[tuple[str, str]]:
    """Return (path, problem) of each error in a body that somebody sent; the values are left out."""
    parts = error.errors(include_url=False, include_context=False, include_input=False)
    return [(_path(part["loc"]) or "body", _sentence(part["msg"])) for part in parts]


def nearest(name: str, known: Sequence[str]) -> str:
    """Return the hint for a name that is not among those known, with a blank in front."""
    near = difflib.get_close_matches(name, known, n=1)
    return f' Did you mean "{near[0]}"?' if near else f" Known are {', '.join(sorted(known)) or 'none'}"


def _path(steps: Sequence[int | str]) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps).removeprefix(".")


def _sentence(message: str) -> str:
    return message.removeprefix("Value error, ").removeprefix("Input ")


def _said(kind: str, message: str, context: dict[str, Any], place: Sequence[int | str], model: type[BaseModel]) -> str:
    if kind == "extra_forbidden":
        return f"is not a known key.{nearest(str(place[-1]), _keys_at(model, place[:-1]))}"
    if kind in _PLAIN:
        return ". ".join(_PLAIN[kind])
    if kind in _BOUNDS:
        problem, hint = _BOUNDS[kind]
        return f"{problem}. {hint.format(**{name: _written(bound) for name, bound in context.items()})}"
    return message.removeprefix("Value error, ")


def _written(bound: object) -> str:
    """Return a bound as it is written in the file; pydantic gives that of a duration as Python code."""
    duration = _DURATION.fullmatch(str(bound))
    return f"{duration[2]}{'d' if duration[1] else 's'}" if duration else str(bound)


def _keys_at(model: type[BaseModel], place: Sequence[int | str]) -> list[str]:
    """Return the keys that the model inside `model` at `place` has; [] if there is no model."""
    for step in place:
        if isinstance(step, int):
            continue
        annotation = next((f.annotation for n, f in model.model_fields.items() if step in (n, f.alias)), None)
        inner = [part for part in (annotation, *get_args(annotation)) if _is_model(part)]
        if not inner:
            return []
        model = inner[0]
    return [field.alias or name for name, field in model.model_fields.items()]


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)

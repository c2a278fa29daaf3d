"""How a JSON page is understood: JMESPath expressions and tables of words, as config.json or a preset gives them.

Expressions are checked when the configuration is read: a mistake must not wait for the first outage. Besides
JMESPath's own functions (https://jmespath.org/specification.html#built-in-functions) there are `split(text,
separator)` and `pick(list, references)`: those of a JSON:API list that the references (ids, or objects with an
id) name, in the order of the list; and `having(list, ids)`: those that hold one of the ids, however deep.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import jmespath
from jmespath import functions
from jmespath.exceptions import JMESPathError
from pydantic import AfterValidator, BeforeValidator

from service_checkers.reading.fetch import WebAddress
from service_event_checker.config.models import Model
from service_event_checker.config.problems import nearest
from service_event_checker.core.vocabulary import Severity

PRESETS = Path(__file__).parent / "presets"
EXPRESSION_MAX = 2000  # characters


class _Functions(functions.Functions):  # type: ignore[misc]  # jmespath has no types
    """What payloads need beyond JMESPath's own."""

    @functions.signature({"types": ["string"]}, {"types": ["string"]})  # type: ignore[untyped-decorator]
    def _func_split(self, text: str, separator: str) -> list[str]:
        return text.split(separator) if separator else [text]

    @functions.signature({"types": ["array", "null"]}, {"types": ["array", "null"]})  # type: ignore[untyped-decorator]
    def _func_pick(self, entries: list[Any] | None, references: list[Any] | None) -> list[Any]:
        wanted = {_named(reference) for reference in references or []} - {("", "")}
        return [entry for entry in entries or [] if isinstance(entry, dict) and _is_one_of(entry, wanted)]

    @functions.signature({"types": ["array", "null"]}, {"types": ["array", "null"]})  # type: ignore[untyped-decorator]
    def _func_having(self, entries: list[Any] | None, ids: list[Any] | None) -> list[Any]:
        wanted = {word(id) for id in ids or []} - {""}
        return [entry for entry in entries or [] if _holds(entry, wanted)]


def _holds(value: Any, wanted: set[str]) -> bool:
    """Whether one of the words stands anywhere in a JSON value, which the reader keeps from being too deep."""
    if isinstance(value, dict | list):
        return any(_holds(each, wanted) for each in (value.values() if isinstance(value, dict) else value))
    return word(value) in wanted


def _named(reference: Any) -> tuple[str, str]:
    """Return the id that a reference names, and the type where it tells one."""
    named = reference if isinstance(reference, dict) else {"id": reference}
    return word(named.get("id")), word(named.get("type"))


def _is_one_of(entry: dict[str, Any], wanted: set[tuple[str, str]]) -> bool:
    id, type_ = _named(entry)
    return (id, type_) in wanted or (id, "") in wanted


_OPTIONS = jmespath.Options(custom_functions=_Functions())


def evaluate(expression: str, value: Any) -> Any:
    """Return what an expression finds; None for nothing, or where a function cannot take what is there."""
    if not expression:
        return None
    try:
        return _compiled(expression).search(value, _OPTIONS)
    except (JMESPathError, ValueError, TypeError, ArithmeticError, LookupError, RecursionError):
        return None


@cache
def _compiled(expression: str) -> Any:
    return jmespath.compile(expression)


def _expression(text: str) -> str:
    hint = "Try it at https://jmespath.org"
    if len(text) > EXPRESSION_MAX:
        raise ValueError(f"is too long for an expression. At most {EXPRESSION_MAX} characters")
    try:
        parsed = _compiled(text).parsed if text else {}
    except (JMESPathError, RecursionError) as error:
        place = getattr(error, "lex_position", None)
        where = f" (at character {place + 1})" if isinstance(place, int) else ""
        raise ValueError(f"is not a JMESPath expression{where}. {hint}") from None
    _check_functions(parsed, hint)
    return text


def _check_functions(node: dict[str, Any], hint: str) -> None:
    """Refuse a function that does not exist: JMESPath itself would only tell when it is called."""
    if node.get("type") == "function_expression":
        known = _Functions.FUNCTION_TABLE.get(node["value"])
        if known is None:
            raise ValueError(f"calls the function {node['value']}(), which does not exist. {hint}")
        arguments, takes = len(node["children"]), known["signature"]
        variadic = bool(takes) and takes[-1].get("variadic", False)
        if arguments < len(takes) or (arguments > len(takes) and not variadic):
            raise ValueError(f"calls {node['value']}() with {arguments} arguments, which takes {len(takes)}. {hint}")
    for child in node.get("children", []):
        if isinstance(child, dict):
            _check_functions(child, hint)


Expression = Annotated[str, AfterValidator(_expression)]


def word(value: Any) -> str:
    """Return a word of a vendor as tables have it: text of any case, or a number; "" for anything else."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value) if abs(value) < 10**9 else ""
    return " ".join(value[:200].split()).casefold() if isinstance(value, str) else ""


Word = Annotated[str, BeforeValidator(lambda value: word(value) or value)]


class Mapping(Model):
    """Where things stand in a page's JSON, and what its words mean.

    On the page: `incidents` (a list, required), `maintenances` (a list of planned work, read by the same
    expressions), `requires`, which must find something, else the answer is not what the mapping is for, `level`, the
    page's own word on its state, and `places`, a list of its components, of each of which `place` finds an object of
    `id`, `name`, `state` and `group`. On an entry, which sees the whole page as `_page`: all other expressions.
    `posted_at` is when the entry was first told of, `ends_at` the planned end of planned work, or `minutes` how long
    it is to take.
    `status` left out: what is listed is open. A level or a component that `severities` puts above info, and that no
    open incident explains, is an outage of its own, and the list is then not complete.
    Tables: `open`, `planned` (open, and planned work), `resolved` for statuses, `severities` for levels.
    `complete`: the list holds all that is open, so absence means something. `all_places`: `places` holds all
    components, not only those in trouble, so that a page that changed is noticed. `page`: the address for people;
    `path`: what to ask for where the configured address is only a host.
    """

    incidents: Expression = ""
    maintenances: Expression = ""
    requires: Expression = ""
    level: Expression = ""
    places: Expression = ""
    place: Expression = ""
    id: Expression = ""
    title: Expression = ""
    status: Expression = ""
    severity: Expression = ""
    url: Expression = ""
    starts_at: Expression = ""
    posted_at: Expression = ""
    ends_at: Expression = ""
    minutes: Expression = ""
    updated_at: Expression = ""
    description: Expression = ""
    components: Expression = ""
    groups: Expression = ""
    regions: Expression = ""
    services: Expression = ""
    open: tuple[Word, ...] = ()
    planned: tuple[Word, ...] = ()
    resolved: tuple[Word, ...] = ()
    severities: dict[Word, Severity] = {}
    complete: bool = False
    all_places: bool = False
    page: WebAddress | None = None
    path: str = ""


def preset_names() -> list[str]:
    return sorted(path.stem for path in PRESETS.glob("*.json"))


def read_preset(name: str) -> dict[str, Any]:
    """Return a preset's mapping as written; {} for an unknown name (`Preset` refuses it)."""
    if name not in preset_names():
        return {}
    mapping: dict[str, Any] = json.loads((PRESETS / f"{name}.json").read_bytes())
    return mapping


def _preset(name: str) -> str:
    if name and name not in preset_names():
        raise ValueError(f"is not a known preset.{nearest(name, preset_names())}")
    return name


Preset = Annotated[str, AfterValidator(_preset)]

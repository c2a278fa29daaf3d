"""The Jinja environment of templates that users write: sandboxed, every value escaped, bounded in time and size.

Values are escaped when they are written, whatever the template says: there is no `safe` filter, and `autoescape false`
changes nothing. Loops, calls and long texts count against a budget, so that a template cannot hold up a delivery.
"""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, cast

from jinja2 import DictLoader, Environment, StrictUndefined, Template, nodes
from jinja2.runtime import markup_join, str_join
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup

from service_event_checker.render.text import duration, moment

SECONDS_MAX = 1.0  # of one rendering
STEPS_MAX = 50_000  # turns of loops, and calls
TEXT_MAX = 256 * 1024  # characters of the whole output, and of any text on the way
POWER_MAX = 64
_LEFT_OUT = ("safe", "random", "pprint", "urlize", "lipsum")
_WIDENING = frozenset({"center", "ljust", "rjust", "zfill", "expandtabs", "indent", "wordwrap"})


class Finished(str):
    """A text that one of our filters has made fit for the channel; a template cannot make one."""

    __slots__ = ()


class OverBudget(Exception):
    """A template takes too long, or writes too much."""


class _Budget(threading.local):
    steps = 0
    ends_at = 0.0

    def start(self) -> None:
        self.steps, self.ends_at = 0, time.monotonic() + SECONDS_MAX

    def step(self) -> None:
        self.steps += 1
        if self.steps > STEPS_MAX:
            raise OverBudget(f"takes more than {STEPS_MAX} steps: shorten its loops")
        if time.monotonic() > self.ends_at:
            raise OverBudget(f"takes longer than {SECONDS_MAX:g} s: shorten its loops")


_budget = _Budget()


def environment(
    files: Mapping[str, str], escape: Callable[[str], str], filters: Mapping[str, Callable[..., Any]], *, html: bool
) -> Environment:
    """Return an environment in which every value is written through `escape`. `files`: what may be included, by name.

    `html`: the output of macros is HTML already; elsewhere it is escaped once more, which is harmless.
    """
    made = _Sandbox(
        loader=DictLoader(dict(files)),
        autoescape=html,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=functools.partial(_written, escape, html),
    )
    made.filters.update(filters)
    kept = {name: each for name, each in made.filters.items() if name not in _LEFT_OUT}
    made.filters = {name: _bounded(name, each) for name, each in kept.items()}
    made.filters |= {"_turns": _turns, "_joined": _joined}
    made.globals.pop("lipsum", None)
    return made


def render(template: Template, values: Mapping[str, object]) -> str:
    """Fill a template. Raises OverBudget, and whatever a template can raise."""
    _budget.start()
    chunks, size = [], 0
    for chunk in template.generate(**values):
        _budget.step()
        size += len(chunk)
        if size > TEXT_MAX:
            raise OverBudget(f"writes more than {TEXT_MAX} characters")
        chunks.append(chunk)
    return "".join(chunks)


class _Sandbox(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset({"+", "*", "%", "**"})

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        for loop in tree.find_all(nodes.For):
            loop.iter = _filter(loop.iter, "_turns")
        return _count_concats(tree)

    def call(self, context: Any, obj: Any, *args: Any, **kwargs: Any) -> Any:
        _budget.step()
        if getattr(obj, "__name__", "") in _WIDENING:
            _widths_ok((*args, *kwargs.values()))
        return _measured(super().call(context, obj, *args, **kwargs))

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if operator == "*":
            _product_ok(left, right)
            _product_ok(right, left)
        if operator == "**" and (not isinstance(right, int | float) or abs(right) > POWER_MAX):
            raise OverBudget(f"has a power above {POWER_MAX}")
        if operator == "%" and isinstance(left, str):
            raise OverBudget("formats with %: use the filters, or ~")
        return _measured(super().call_binop(context, operator, left, right))


def _count_concats(tree: nodes.Template) -> nodes.Template:
    """Replace `a ~ b`, which a sandbox does not see, by a filter that counts."""
    for node in list(tree.find_all(nodes.Node)):
        for field, value in node.iter_fields():
            if isinstance(value, nodes.Concat):
                setattr(node, field, _counted(value))
            elif isinstance(value, list):
                value[:] = [_counted(each) if isinstance(each, nodes.Concat) else each for each in value]
    return tree


def _counted(concat: nodes.Concat) -> nodes.Filter:
    parts = nodes.List(concat.nodes, lineno=concat.lineno, environment=concat.environment)
    return _filter(parts, "_joined")


def _filter(node: nodes.Node, name: str) -> nodes.Filter:
    return nodes.Filter(
        cast("nodes.Expr", node), name, [], [], None, None, lineno=node.lineno, environment=node.environment
    )


def _turns(values: Iterable[Any]) -> Iterator[Any]:
    for value in values:
        _budget.step()
        yield value


def _joined(parts: list[Any]) -> str:
    markup = any(hasattr(part, "__html__") for part in parts)
    return str(_measured(str_join(parts))) if not markup else _measured(markup_join(parts))


def _bounded(name: str, each: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(each)
    def counted(*args: Any, **kwargs: Any) -> Any:
        _budget.step()
        if name in _WIDENING:
            _widths_ok((*args[1:], *kwargs.values()))
        if name == "format" and any(char.isdigit() for char in str(args[0]).replace("%", "", 1)):
            _widths_ok(int(digits) for digits in _digits(str(args[0])))
        return _measured(each(*args, **kwargs))

    return counted


def _digits(text: str) -> list[str]:
    return "".join(char if char.isdecimal() else " " for char in text).split()


def _widths_ok(values: Iterable[Any]) -> None:
    if any(isinstance(value, int) and value > 1000 for value in values):
        raise OverBudget("asks for a text wider than 1000 characters")


def _product_ok(many: Any, count: Any) -> None:
    if isinstance(many, str | list | tuple) and isinstance(count, int) and len(many) * count > TEXT_MAX:
        raise OverBudget(f"makes a text of more than {TEXT_MAX} characters")


def _measured(value: Any) -> Any:
    if isinstance(value, str | list | tuple) and len(value) > TEXT_MAX:
        raise OverBudget(f"makes a text of more than {TEXT_MAX} characters")
    return value


def _written(escape: Callable[[str], str], html: bool, value: Any) -> Any:
    """Return what stands for a value in the output; an undefined one raises."""
    if html and isinstance(value, Markup):
        return value  # a macro's
    if isinstance(value, Finished):
        return value
    if isinstance(value, datetime):
        value = moment(value)
    elif isinstance(value, timedelta):
        value = duration(value)
    text = "" if value is None else str(value)
    return Markup(escape(text)) if html else escape(text)  # noqa: S704  # escaped right here

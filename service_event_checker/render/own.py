"""Fills the templates that users write; if one fails, the built-in text is sent, and it is said.

`TEMPLATES_DIR` holds folders named after destinations and kinds, with files `<verb>.<part>`: `slack/open.mrkdwn`,
`oncall/any.subject.txt`. The order of search: destination and verb, destination and `any`, kind and verb, kind and
`any`, the built-in text. All files are read at start; files and folders that begin with "_" are for `include`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog
from jinja2 import Template, TemplateError, UndefinedError

from service_event_checker.core.model import Alert, Delivery
from service_event_checker.core.vocabulary import Verb
from service_event_checker.metrics import TEMPLATE_FAILURES
from service_event_checker.render import sandbox
from service_event_checker.render.own_values import values_of
from service_event_checker.render.text import cut, line
from service_event_checker.render.texts import TEST_WORD

if TYPE_CHECKING:
    from service_event_checker.render.notice import Notice

TITLE = "title.txt"  # of tickets and pages; that of `open` also for later changes

log = structlog.get_logger()


def as_it_is(text: str) -> str:
    return text


def anything(_text: str) -> None:
    """Let any text pass."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """A text that a kind takes from templates. `escape` makes external text harmless in it.

    `html`: it is HTML. `line`: it is one line. `limit` in characters. `address`: what the filter `link` writes for a
    web address where that is not the escaped text. `check` raises ValueError for a whole text that its system refuses.
    """

    escape: Callable[[str], str] = as_it_is
    html: bool = False
    line: bool = False
    limit: int = sandbox.TEXT_MAX
    address: Callable[[str], str] | None = None
    check: Callable[[str], None] = anything


@dataclass(frozen=True, slots=True)
class Own:
    """One template of a user. `path` is that of its file, for people."""

    path: str
    template: Template
    form: Form


Owns = dict[tuple[str, Verb, str], Own]  # by receiver, verb and part


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A template that failed when a message was sent, so that the built-in text was sent."""

    receiver: str
    path: str
    why: str
    at: datetime


@dataclass(slots=True)
class _Registry:
    owns: Owns = field(default_factory=dict)
    failures: dict[tuple[str, str], Failure] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)


_registry = _Registry()


def use(owns: Owns) -> None:
    """Set the templates that messages are written with from now on."""
    with _registry.lock:
        _registry.owns = dict(owns)
        _registry.failures.clear()


def failures() -> tuple[Failure, ...]:
    """Return the templates that failed last time in this process."""
    with _registry.lock:
        return tuple(_registry.failures.values())


def source(receiver: str, verb: Verb, part: str) -> str:
    """Return the path of the template that is used, "" for the built-in text."""
    found = _registry.owns.get((receiver, verb, part))
    return found.path if found else ""


def texts(delivery: Delivery, alert: Alert, told: Notice) -> dict[str, str]:
    """Return what the user's templates say of a delivery, by part; a part without template is missing. Never raises."""
    owns = _registry.owns
    verbs = {part: Verb.OPEN if part == TITLE else delivery.verb for _, _, part in owns}
    found = {
        part: _text(owns[delivery.receiver, verb, part], delivery, alert, told)
        for part, verb in verbs.items()
        if (delivery.receiver, verb, part) in owns
    }
    return {part: said for part, said in found.items() if said}


def _text(own: Own, delivery: Delivery, alert: Alert, told: Notice) -> str:
    key = (delivery.receiver, own.path)
    try:
        found = filled(own, delivery, alert, told)
    except Exception as error:  # noqa: BLE001  # a template can raise anything, and the alert must be told all the same
        why = f"{line_of(error, own.path)}: {reason(error)}"
        log.exception("template_failed", receiver=delivery.receiver, template=own.path, why=why)
        TEMPLATE_FAILURES.labels(delivery.receiver).inc()
        with _registry.lock:
            at = datetime.now(UTC)
            _registry.failures[key] = Failure(receiver=delivery.receiver, path=own.path, why=why, at=at)
        return ""
    with _registry.lock:
        _registry.failures.pop(key, None)
    return found


def filled(own: Own, delivery: Delivery, alert: Alert, told: Notice) -> str:
    """Return the text of a template. Raises whatever a template raises, and ValueError if it is empty or refused."""
    found = sandbox.render(own.template, values_of(delivery, alert, told)).strip()
    if not found:
        raise ValueError("it writes nothing")
    if own.form.line:
        found = line(found, own.form.limit)
    if alert.test and TEST_WORD not in found:  # a test is always recognisable
        found = f"<p><b>{TEST_WORD}</b></p>\n{found}" if own.form.html else f"[{TEST_WORD}] {found}"
    if len(found) > own.form.limit:
        if own.form.html:
            raise ValueError(f"it writes more than {own.form.limit} characters")
        found = cut(found, own.form.limit)
    own.form.check(found)
    return found


def line_of(error: BaseException, name: str) -> int | str:
    """Return the line of the template in which an error came up, "?" if none is known."""
    found: int | str = "?"
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename.endswith((name, "<template>", "<unknown>")):
            found = trace.tb_lineno
        trace = trace.tb_next
    return found


def reason(error: BaseException) -> str:
    words = line(str(error), 200) or type(error).__name__
    if isinstance(error, UndefinedError):
        return f"{words}. Names that there are: alert, notice, verb, actor, note, destination, language"
    if isinstance(error, sandbox.OverBudget | ValueError | TemplateError):
        return f"{words}. Correct the template"
    return f"{type(error).__name__}: {words}. Correct the template"

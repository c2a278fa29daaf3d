"""Logging: JSON or console lines on stderr. Whatever module wrote a line, its secrets are masked and it is one line."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterable, Mapping, MutableMapping
from functools import lru_cache, partial
from typing import Any

import structlog

from service_event_checker.core.model import Alert, Event
from service_event_checker.log_output import Output, for_terminal
from service_event_checker.log_output import together as together

_MASK = "[secret]"
# Each alternative is a name, which is kept, and the value behind it. What is written as plain words ("bearer
# authentication failed") is a diagnosis and no value; behind `=`, or in quotes, it is a value whatever it looks like.
_NO_WORDS = r"(?! (?-i: [A-Za-z]? [a-z]+ (?: [-_.] [a-z]+ )* ) (?: [\s\"',;:.)\]}] | $ ) )"
_NAMED = r"token | passw(?:or)?d | secret | api_?key | accountkey"
_SHAPES = re.compile(
    rf"""(?ix)
      ( bearer [\s:]+ ) {_NO_WORDS} [a-z0-9+/=_.~-]{{8,}}
    | ( basic [\s:]+ ) {_NO_WORDS} [a-z0-9+/=_-]{{16,}}
    | ( (?: {_NAMED} | [?&](?:key|sig|sign) ) ["']? \s* (?: = \s* ["']? | : \s* ["'] ) ) [^\s"'&;,]{{6,}}
    | ( (?: {_NAMED} ) ["']? \s* : \s* ) {_NO_WORDS} [^\s"'&;,]{{6,}}
    | ( token \s+ ) {_NO_WORDS} [a-z0-9_.-]{{16,}}
    | () (?: xox[a-z] | xapp ) - [\w-]+
    | ( hooks\.slack\.com/ ) [^\s"']+ | ( /hook/ ) [\w-]{{8,}} | ( bot ) \d+ : [\w-]{{20,}}
    | (?<=://) () [^/\s@"']+ (?=@)
    """
)
# Each match of the shapes holds one of these, in whatever case. To look for them is quicker.
_HINTS = ("bearer", "basic", "token", "passw", "secret", "key", "sig", "xox", "xapp", "hook", "bot", "@")
_WORD = re.compile(r"[A-Za-z]{1,15}")  # a secret that is a word occurs in sentences that hold no secret
# Terminals obey control characters, and readers of text are misled by marks that turn its direction around.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
_NAMES = re.compile(r"(?i)(token|passw(or)?d|secret|api_?key|authorization|(^|_)pat)$")
_DEPTH = 6  # what lies deeper is written as text
_known: set[str] = set()


def set_up(*, level: str = "INFO", form: str = "console") -> None:
    """Configure structlog and the standard library's logging alike; `form` is "json" or "console"."""
    shared: list[Any] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _with_traceback,
        _cleaned,
    ]
    last: Any = structlog.processors.JSONRenderer() if form == "json" else for_terminal
    structlog.configure(
        processors=[*shared, last],
        wrapper_class=structlog.make_filtering_bound_logger(_number(level)),
        logger_factory=partial(Output, sys.stderr),
        cache_logger_on_first_use=False,
    )
    stream = logging.StreamHandler(sys.stderr)
    stream.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[_drop_meta, last], foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared]
        )
    )
    logging.basicConfig(level=max(_number(level), logging.WARNING), handlers=[stream], force=True)


def hide(secrets: Iterable[str]) -> None:
    """Mask these values in every line from now on."""
    _known.update(secret for secret in secrets if len(secret) >= 6)


def masked(text: str) -> str:
    """Return the text without known secrets and without what looks like one."""
    for secret in sorted(_known, key=len, reverse=True):  # one may be a part of another
        if not _WORD.fullmatch(secret):
            text = text.replace(secret, _MASK)
        elif secret in text:
            text = re.sub(rf"(?:^|(?<=[=:@/\"'])){re.escape(secret)}(?![\w-]| \w)", _MASK, text)
    return _SHAPES.sub(_keep_name, text)


def plain(text: str) -> str:
    """Return the text with control characters written out, like `\\x1b`; tabs and ends of lines stay."""
    return _CONTROL.sub(_written_out, text)


def alert_facts(alert: Alert | Event) -> dict[str, str]:
    """Return what every line about an alert, or a delivery of it, names it by."""
    id = {"id": alert.internal_id} if isinstance(alert, Alert) else {}
    return {"title": alert.title, **id, "fingerprint": alert.fingerprint, "source": alert.source}


def _keep_name(found: re.Match[str]) -> str:
    return next((name for name in found.groups() if name is not None), "") + _MASK


def _written_out(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def _with_traceback(logger: Any, method: str, event: MutableMapping[str, Any]) -> Any:
    return structlog.processors.format_exc_info(logger, method, event) if "exc_info" in event else event


def _cleaned(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    harmless = _is_harmless(" ".join([value for value in event.values() if type(value) is str]))
    for name, value in event.items():
        if name.startswith("_"):
            continue  # the standard library's own record, dropped before anything is written
        if not harmless or type(value) is not str or _is_secrets_name(name):
            event[name] = _masked_value(value, name)
    event["event"] = str(event.get("event", "")).replace("\n", "\\n")  # values are quoted, this one is not
    return event


def _is_harmless(text: str) -> bool:
    """Whether nothing in the text, nor in a part of it between spaces, is to be masked or written out."""
    if not (text.isascii() and text.isprintable()):
        return False
    lower = text.lower()
    return not any(hint in lower for hint in _HINTS) and not any(secret in text for secret in _known)


@lru_cache(maxsize=1024)
def _is_secrets_name(name: str) -> bool:
    return bool(_NAMES.search(name))


def _masked_value(value: Any, name: str = "", depth: int = 0) -> Any:
    """Return the value masked all through; other values become text, as the renderers would write them."""
    if value is None or isinstance(value, bool):
        return value
    if _is_secrets_name(name):
        return _MASK
    if isinstance(value, str):
        return plain(masked(value))
    if isinstance(value, int | float):
        return value
    if isinstance(value, Mapping) and depth < _DEPTH:
        return {plain(masked(str(key))): _masked_value(part, str(key), depth + 1) for key, part in value.items()}
    if isinstance(value, list | tuple | set | frozenset) and depth < _DEPTH:
        return [_masked_value(part, "", depth + 1) for part in value]
    return plain(masked(repr(value)))


def _drop_meta(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return structlog.stdlib.ProcessorFormatter.remove_processors_meta(_logger, _method, event)


def _number(level: str) -> int:
    number = logging.getLevelNamesMapping().get(level.upper())
    return logging.INFO if number is None else number

"""Logging: JSON or console lines on stderr, with secrets masked whatever module wrote them."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any

import structlog

_MASK = "[secret]"
_SHAPES = re.compile(
    r"""(?ix)
      bearer [\s:]+ [a-z0-9+/=_.~-]{8,} | basic [\s:]+ [a-z0-9+/=_-]{16,}
    | (?: token | passw(?:or)?d | secret | api_?key | accountkey | [?&](?:key|sig|sign) )
      ["']? \s* [=:] \s* ["']? [^\s"'&;,]{6,}
    | token \s+ [a-z0-9_.-]{16,}
    | (?: xox[a-z] | xapp ) - [\w-]+
    | hooks\.slack\.com/ [^\s"']+ | /hook/ [\w-]{8,} | bot\d+ : [\w-]{20,}
    | (?<=://) [^/\s@"']+ (?=@)
    """
)
_NAMES = re.compile(r"(?i)(token|passw(or)?d|secret|api_?key|authorization|(^|_)pat)$")
_DEPTH = 6  # what lies deeper is written as text
_known: set[str] = set()


def set_up(*, level: str = "INFO", form: str = "console") -> None:
    """Configure structlog and the standard library's logging alike; `form` is "json" or "console"."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _mask,
    ]
    last = structlog.processors.JSONRenderer() if form == "json" else _console()
    structlog.configure(
        processors=[*shared, last],
        wrapper_class=structlog.make_filtering_bound_logger(_number(level)),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    stream = logging.StreamHandler(sys.stderr)
    stream.setFormatter(structlog.stdlib.ProcessorFormatter(processors=[_drop_meta, last], foreign_pre_chain=shared))
    logging.basicConfig(level=max(_number(level), logging.WARNING), handlers=[stream], force=True)


def hide(secrets: Iterable[str]) -> None:
    """Mask these values in every line from now on."""
    _known.update(secret for secret in secrets if len(secret) >= 6)


def masked(text: str) -> str:
    """Return the text without known secrets and without what looks like one."""
    for secret in sorted(_known, key=len, reverse=True):  # one may be a part of another
        text = text.replace(secret, _MASK)
    return _SHAPES.sub(_MASK, text)


def _mask(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name, value in event.items():
        if not name.startswith("_"):  # the standard library's own record, dropped before anything is written
            event[name] = _masked_value(value, name)
    return event


def _masked_value(value: Any, name: str = "", depth: int = 0) -> Any:
    """Return the value masked all through; what is no plain value becomes text, as the renderers would make it."""
    if value is None or isinstance(value, bool):
        return value
    if _NAMES.search(name):
        return _MASK
    if isinstance(value, str):
        return masked(value)
    if isinstance(value, int | float):
        return value
    if isinstance(value, Mapping) and depth < _DEPTH:
        return {masked(str(key)): _masked_value(part, str(key), depth + 1) for key, part in value.items()}
    if isinstance(value, list | tuple | set | frozenset) and depth < _DEPTH:
        return [_masked_value(part, "", depth + 1) for part in value]
    return masked(repr(value))


def _drop_meta(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return structlog.stdlib.ProcessorFormatter.remove_processors_meta(_logger, _method, event)


def _console() -> structlog.dev.ConsoleRenderer:
    """Return the renderer for a terminal; tracebacks are plain, for richer ones show local variables."""
    return structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)


def _number(level: str) -> int:
    number = logging.getLevelNamesMapping().get(level.upper())
    return logging.INFO if number is None else number

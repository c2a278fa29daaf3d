"""Logging: JSON or console lines on stderr, with secrets masked whatever module wrote them."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterable, MutableMapping
from typing import Any

import structlog

_MASK = "[secret]"
_SHAPES = re.compile(
    r"(?i)(bearer|basic|token[ =:]+)\s*[a-z0-9+/=_.\-]{8,}|xox[a-z]-[\w-]+|(?<=://)[^/\s@]+:[^/\s@]+(?=@)"
)
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
    last = structlog.processors.JSONRenderer() if form == "json" else structlog.dev.ConsoleRenderer(colors=False)
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
    for secret in _known:
        text = text.replace(secret, _MASK)
    return _SHAPES.sub(_MASK, text)


def _mask(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name, value in event.items():
        event[name] = masked(value) if isinstance(value, str) else value
    return event


def _drop_meta(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return structlog.stdlib.ProcessorFormatter.remove_processors_meta(_logger, _method, event)


def _number(level: str) -> int:
    number = logging.getLevelNamesMapping().get(level.upper())
    return logging.INFO if number is None else number

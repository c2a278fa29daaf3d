"""Checks variables of the environment: values that no part can use, and names that look misspelt. Shows no value. Pure.

What has a type of its own is read in settings.py.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from service_event_checker.config.models import Model
from service_event_checker.config.problems import nearest
from service_event_checker.config.spelling import one_off, similar

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
FORMATS = ("console", "json")
_VARIABLES = """
API_TOKENS AZURE_STORAGE_CONNECTION_STRING AZURE_TABLE_NAME CELERY_BROKER_URL CONFIG_FILE CURL_CA_BUNDLE DATABASE_URL
EVENT_TABLE_NAME GITHUB_WEBHOOK_SECRET
HEARTBEAT_URL INSTATUS_WEBHOOK_SECRET LOG_FORMAT LOG_LEVEL OUTBOUND_NO_PROXY OUTBOUND_PROXY PORT
PUBLIC_URL PYTHON REQUESTS_CA_BUNDLE RESOLVED_EVENTS_TABLE RETENTION_DAYS SCM_DO_BUILD_DURING_DEPLOYMENT SECRET_KEY
SLACK_ALLOWED_CHANNELS SLACK_ALLOWED_GROUPS SLACK_ALLOWED_USERS SLACK_SIGNING_SECRET SLACK_TEAM_IDS
SLACK_VERIFICATION_TOKEN SSL_CERT_FILE TEMPLATES_DIR TRUSTED_PROXIES VENV WEBHOOK_TOKEN
WEBSITE_HTTPLOGGING_RETENTION_DAYS WEB_CONCURRENCY
"""
KNOWN = frozenset(_VARIABLES.split())  # that belong to no model of an adapter
_ANY_END = "WEBHOOK_TOKEN_"  # followed by a sender's name
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{4,79}")
#: set by Kubernetes for each service and by App Service, in great number
_PLATFORM = re.compile(
    r"(KUBERNETES|WEBSITE|APPSETTING|SQLCONNSTR|CUSTOMCONNSTR)_.*|.*_(SERVICE_(HOST|PORT\w*)|PORT(_.*)?)"
)
_REFERENCE = re.compile(r"env:\s*(\w+)")


def problems(environ: Mapping[str, str]) -> list[str]:
    """Return what is wrong with the values that only the start itself reads."""
    level, form = environ.get("LOG_LEVEL", "").strip(), environ.get("LOG_FORMAT", "").strip()
    found = []
    if level and level.upper() not in logging.getLevelNamesMapping():
        found.append(f"LOG_LEVEL: is not a level.{_hint(level.upper(), LEVELS)}")
    if form and form not in FORMATS:
        found.append(f"LOG_FORMAT: is not a format.{_hint(form.lower(), FORMATS)}")
    return found


def misspelt(
    environ: Mapping[str, str],
    models: Iterable[type[Model]],
    named: Iterable[str],
    everything: Callable[[], frozenset[str]],
) -> list[str]:
    """Return a warning for each variable that nobody reads and whose name is near that of one which is not set.

    `models`: of the kinds that are configured. `named`: variables that config.json names. `everything`: what any kind
    reads; it is asked only where a name is suspicious.
    """
    read = KNOWN.union(named, (name for model in models for names in model.ENV.values() for name in names))
    unset = sorted(name for name in read if not environ.get(name))
    suspects = {name: near for name in environ if name not in read and (near := _meant(name, unset))}
    known = everything() if suspects else frozenset()
    return [
        f'{name}: no part reads this variable. Did you mean "{near}"?'
        for name, near in suspects.items()
        if name not in known
    ]


def named_in(raw: Any) -> set[str]:
    """Return the variables that a JSON value names as "env:NAME", wherever."""
    found: set[str] = set()
    waiting = [raw]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str) and (reference := _REFERENCE.match(value)):
            found.add(reference[1])
        waiting += _parts(value)
    return found


def _parts(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list):
        yield from value


def _meant(name: str, unset: Iterable[str]) -> str:
    """Return the unset variable that was meant: one letter off, or alike and of the same first word; "" for none."""
    if not _NAME.fullmatch(name) or _PLATFORM.fullmatch(name) or name.startswith(_ANY_END):
        return ""
    family = name.upper().partition("_")[0]
    return one_off(name, unset) or similar(
        name.upper(), [other for other in unset if other.partition("_")[0] == family]
    )


def _hint(value: str, known: tuple[str, ...]) -> str:
    near = nearest(value, known)
    return near if near.startswith(" Did") else f" Give one of {', '.join(known)}"

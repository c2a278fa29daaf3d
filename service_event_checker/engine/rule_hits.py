"""When each rule last matched an alert that opened, so that a rule which matches nothing is noticed.

A setting per rule holds the time, for all processes. It is written by a job, not by who takes alerts in.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from service_event_checker.core.roles import Settings
from service_event_checker.core.rules import Rule
from service_event_checker.metrics import RULE_MATCHES

NEVER_FOR = timedelta(days=30)
STEP = timedelta(hours=1)  # within it, further hits are not written
_PREFIX = "rule-hit:"
_SINCE = "rule-hits-since:"


class RuleHits:
    """Safe to call from several threads. `before`: whose hits, not written yet, go on after a reload."""

    def __init__(self, store: Settings, rules: Iterable[Rule] = (), before: RuleHits | None = None) -> None:
        self._store = store
        self._names = tuple(rule.name for rule in rules)
        self._hits: dict[str, datetime] = dict(before._hits) if before else {}
        self._lock = threading.Lock()

    def note(self, rules: Iterable[Rule], now: datetime) -> None:
        """Note that rules matched an alert that opens; touches no store."""
        with self._lock:
            for rule in rules:
                RULE_MATCHES.labels(rule.name).inc()
                self._hits[rule.name] = now

    def write(self, now: datetime) -> None:
        """Write what was noted, and since when each rule is there. Raises StoreError; then it is written later."""
        with self._lock:
            hits = dict(self._hits)
        for name in self._names:
            self._store.set_setting(_SINCE + _short(name), now.isoformat(), only_if_new=True)
        for name, at in hits.items():
            written = self._read(_PREFIX, name)
            if written is None or at - written >= STEP or at < written:
                self._store.set_setting(_PREFIX + _short(name), at.isoformat())
        with self._lock:
            self._hits = {name: at for name, at in self._hits.items() if hits.get(name) != at}

    def last(self) -> Mapping[str, datetime | None]:
        """Return when each configured rule last matched; None: not since it is there. Raises StoreError."""
        return {name: self._read(_PREFIX, name) for name in self._names}

    def unused(self, now: datetime) -> list[str]:
        """Return the rules that have been there for 30 days and matched nothing in them. Raises StoreError."""
        found = []
        for name, last in self.last().items():
            since = last or self._read(_SINCE, name)
            if since is not None and now - since >= NEVER_FOR:
                found.append(name)
        return found

    def _read(self, prefix: str, name: str) -> datetime | None:
        text = self._store.setting(prefix + _short(name))
        return datetime.fromisoformat(text) if text else None


def _short(name: str) -> str:
    """Return what stands for a name of up to 100 characters in the name of a setting, which has no more."""
    return hashlib.sha256(name.encode()).hexdigest()[:20]

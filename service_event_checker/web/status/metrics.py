"""GET /metrics: the counters of this process, and what the store holds now.

Labels are names from the configuration and from our enums, never text of a sender.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime

from flask import Blueprint, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from service_event_checker.core.errors import StoreError
from service_event_checker.core.vocabulary import Severity
from service_event_checker.engine import quarantine, reloads
from service_event_checker.engine.heartbeat import last_heartbeat
from service_event_checker.engine.services import Services
from service_event_checker.metrics import REGISTRY
from service_event_checker.web.context import services
from service_event_checker.web.status import overview

_INTAKES = frozenset({"alertmanager", "opsgenie", "rest"})  # sources that no checker's name stands for
_OTHER = "other"

blueprint = Blueprint("metrics", __name__)


@blueprint.get("/metrics")
def metrics() -> Response:
    held = StateCollector(services())
    return Response(generate_latest(REGISTRY) + generate_latest(held), content_type=CONTENT_TYPE_LATEST)


class StateCollector(Collector):
    """Reads the store at scrape; a store that is away shows as poc_store_up 0 and nothing else."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def collect(self) -> Iterator[Metric]:
        try:
            found = list(self._read(datetime.now(UTC)))
        except StoreError:
            found = []
        yield GaugeMetricFamily("poc_store_up", "Whether the store could be read", value=1.0 if found else 0.0)
        yield from found

    def _read(self, now: datetime) -> Iterator[Metric]:
        yield self._open_alerts()
        yield from self._deliveries(now)
        yield from self._checkers(now)
        yield self._quarantined()
        yield self._rules(now)
        yield self._senders(now)
        yield from self._reloads()
        heartbeat_at = last_heartbeat(self._services.store)
        if heartbeat_at:
            age = _seconds_since(heartbeat_at, now)
            yield GaugeMetricFamily("poc_heartbeat_age_seconds", "Since any process ran the engine", value=age)

    def _open_alerts(self) -> Metric:
        names = {part.name for part in self._services.parts if part.section == "checker"}
        counts: Counter[tuple[str, Severity]] = Counter()
        for (source, severity), number in self._services.store.open_counts().items():
            counts[_source(source, names), severity] += number
        found = GaugeMetricFamily("poc_open_alerts", "Open alerts, tests left out", labels=["source", "severity"])
        for source in sorted(names | {source for source, _ in counts}):
            for severity in Severity:
                found.add_metric([source, severity.value], counts[source, severity])
        return found

    def _deliveries(self, now: datetime) -> Iterator[Metric]:
        store = self._services.store
        letters = Counter(store.failed_counts())
        names = [part.name for part in self._services.parts if part.section == "destination"]
        waiting = GaugeMetricFamily("poc_deliveries_waiting", "Deliveries not made yet", labels=["receiver"])
        dead = GaugeMetricFamily("poc_dead_letters", "Failed deliveries", labels=["receiver"])
        for name in names:
            waiting.add_metric([name], store.waiting(name))
            dead.add_metric([name], letters[name])
        gone = letters.total() - sum(letters[name] for name in names)
        if gone:
            dead.add_metric([_OTHER], gone)
        oldest_at = store.oldest_waiting()
        age = _seconds_since(oldest_at, now) if oldest_at else 0.0
        yield waiting
        yield dead
        yield GaugeMetricFamily("poc_undelivered_oldest_seconds", "Age of the oldest delivery not made yet", value=age)

    def _reloads(self) -> Iterator[Metric]:
        loaded_at = self._services.loaded_at
        failed = reloads.failed_since(reloads.read(self._services.store), loaded_at)
        yield GaugeMetricFamily(
            "poc_config_reload_ok", "0: the last reload of the configuration was refused", value=0.0 if failed else 1.0
        )
        yield GaugeMetricFamily(
            "poc_config_last_reload_success_timestamp_seconds",
            "When this process took its configuration",
            value=loaded_at.timestamp(),
        )

    def _quarantined(self) -> Metric:
        """Count what lies in quarantine, as far as it is read; sources there are names of destinations or ours."""
        held = quarantine.held(self._services.store.holding, limit=overview.REFUSED_MAX)
        found = GaugeMetricFamily("poc_quarantined", "Refused bodies, at most 50 are counted", labels=["source"])
        for source, count in sorted(Counter(one.source for one in held).items()):
            found.add_metric([source], count)
        return found

    def _rules(self, now: datetime) -> Metric:
        found = GaugeMetricFamily("poc_rule_unused", "1: a rule that matched nothing for 30 days", labels=["rule"])
        unused = set(self._services.rule_hits.unused(now))
        for name in self._services.rule_hits.last():
            found.add_metric([name], float(name in unused))
        return found

    def _senders(self, now: datetime) -> Metric:
        found = GaugeMetricFamily(
            "poc_sender_heartbeat_age_seconds", "Since a sender was last heard from", labels=["sender"]
        )
        for name in self._services.heartbeats.configured:
            if last_at := self._services.heartbeats.last(name):
                found.add_metric([name], _seconds_since(last_at, now))
        return found

    def _checkers(self, now: datetime) -> Iterator[Metric]:
        age = GaugeMetricFamily("poc_checker_last_success_seconds", "Since it could last be read", labels=["checker"])
        unknown = GaugeMetricFamily("poc_checker_unknown", "1: its state is not known", labels=["checker"])
        for checker in overview.checkers(self._services, (), now):
            if checker.reading is overview.PollState.OFF:
                continue
            if checker.last_success_at:
                age.add_metric([checker.name], _seconds_since(checker.last_success_at, now))
            unknown.add_metric([checker.name], 0.0 if checker.reading is overview.PollState.OK else 1.0)
        yield age
        yield unknown


def _seconds_since(at: datetime, now: datetime) -> float:
    """Return an age, 0 for what lies ahead since the clock was set back."""
    return max(0.0, (now - at).total_seconds())


def _source(source: str, checkers: set[str]) -> str:
    """Return a label for a source that a sender may have named."""
    if source in checkers:
        return source
    family = source.partition(":")[0]
    return family if family in _INTAKES else _OTHER

"""The counters that code raises as it goes. What is a state (open alerts, ages) is read from the store at scrape."""

from __future__ import annotations

from enum import Enum

from prometheus_client import CollectorRegistry, Counter

REGISTRY = CollectorRegistry()

TRANSITIONS = Counter("poc_transitions_total", "Changes of alerts", ["kind", "why"], registry=REGISTRY)
DELIVERIES = Counter("poc_deliveries_total", "Attempts to deliver", ["receiver", "verb", "outcome"], registry=REGISTRY)
FAILURES = Counter("poc_delivery_failures_total", "Failed attempts", ["receiver", "reason"], registry=REGISTRY)
PING_PONGS = Counter(
    "poc_ping_pong_total", "Statuses that were not carried, as they went to and fro", ["receiver"], registry=REGISTRY
)
REPAIRS = Counter("poc_repairs_total", "Differences found by reconciliation", ["with", "fix"], registry=REGISTRY)
UNROUTED = Counter("poc_alerts_unrouted_total", "Alerts that no rule matched when they opened", registry=REGISTRY)
POLLS = Counter("poc_polls_total", "Polls of status pages", ["checker", "outcome"], registry=REGISTRY)
REFUSALS = Counter("poc_requests_refused_total", "Requests not let in", ["route", "reason"], registry=REGISTRY)
PINGS = Counter(
    "poc_heartbeat_pings_total", "Signs of life that we gave (HEARTBEAT_URL)", ["outcome"], registry=REGISTRY
)
UNKNOWN_VALUES = Counter(
    "poc_unknown_values_total", "Values of a source that are not in its documentation", ["checker"], registry=REGISTRY
)

# Values that dashboards know, older than the names in the code.
_LABELS = {
    "duplicate": "twice",
    "reopened_remotely": "taken_up",
    "reopened_after_end": "reopened",
    "severity_raised": "worsened",
    "severity_lowered": "eased",
}


def label(member: Enum) -> str:
    """Return the value that stands for a member of an enum in a metric: its name, or what it was once called."""
    name = member.name.lower()
    return _LABELS.get(name, name)

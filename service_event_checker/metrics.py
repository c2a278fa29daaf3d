"""The counters that code raises as it goes. What is a state (open alerts, ages) is read from the store at scrape."""

from __future__ import annotations

from enum import Enum

from prometheus_client import CollectorRegistry, Counter, Histogram

REGISTRY = CollectorRegistry()

TRANSITIONS = Counter("poc_transitions_total", "Changes of alerts", ["kind", "why"], registry=REGISTRY)
DELIVERIES = Counter("poc_deliveries_total", "Attempts to deliver", ["receiver", "verb", "outcome"], registry=REGISTRY)
FAILURES = Counter("poc_delivery_failures_total", "Failed attempts", ["receiver", "reason"], registry=REGISTRY)
PING_PONGS = Counter(
    "poc_ping_pong_total", "Statuses that were not carried, as they went to and fro", ["receiver"], registry=REGISTRY
)
REPAIRS = Counter("poc_repairs_total", "Differences found by reconciliation", ["with", "fix"], registry=REGISTRY)
UNROUTED = Counter("poc_alerts_unrouted_total", "Alerts that no rule matched when they opened", registry=REGISTRY)
VERDICTS = Counter("poc_verdicts_total", "Verdicts that changed later", ["answer"], registry=REGISTRY)
RULE_MATCHES = Counter(
    "poc_rule_matches_total", "Alerts that opened and that a rule matched", ["rule"], registry=REGISTRY
)
SILENCE_HITS = Counter("poc_silence_hits_total", "Alerts that a silence withholds", ["kept_in"], registry=REGISTRY)
DECISIONS = Counter(
    "poc_decisions_total", "What was decided for receivers", ["receiver", "decision"], registry=REGISTRY
)
SUMMARISED = Counter(
    "poc_summarised_total", "Deliveries that the summary of a storm covers", ["receiver"], registry=REGISTRY
)
REQUEST_SECONDS = Histogram(
    "poc_request_seconds",
    "From a request that changes something, like one with alerts, to its answer",
    ["endpoint", "status"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0),
    registry=REGISTRY,
)
DELIVERY_SECONDS = Histogram(
    "poc_delivery_seconds",
    "From an event to its delivery",
    ["receiver", "verb"],
    buckets=(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0),
    registry=REGISTRY,
)
POLL_SECONDS = Histogram(
    "poc_poll_seconds",
    "Time that a check of a status page takes",
    ["checker"],
    buckets=(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
    registry=REGISTRY,
)
POLLS = Counter("poc_polls_total", "Polls of status pages", ["checker", "outcome"], registry=REGISTRY)
REFUSALS = Counter("poc_requests_refused_total", "Requests not let in", ["route", "reason"], registry=REGISTRY)
PINGS = Counter(
    "poc_heartbeat_pings_total", "Signs of life that we gave (HEARTBEAT_URL)", ["outcome"], registry=REGISTRY
)
TEMPLATE_FAILURES = Counter(
    "poc_template_failures_total",
    "Messages sent in the built-in text, as a template failed",
    ["receiver"],
    registry=REGISTRY,
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

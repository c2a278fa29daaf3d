"""What a matcher may ask an alert for: its own names and its labels. Pure."""

from __future__ import annotations

from service_event_checker.core.model import Alert

LABEL = "label."  # before the name of a label that one of the alert's own names would hide
OWN_NAMES = (
    "source",
    "kind",
    "intake",
    "severity",
    "title",
    "test",
    "affects_us",
    "flapping",
    "verdict",
    "explained_by",
)


def names_of(alert: Alert) -> dict[str, str]:
    """Return what a matcher may ask for: the alert's labels and, over them, its own names; `label.<name>` is always the
    sender's label."""
    own = {
        "source": alert.source,
        "kind": alert.kind.value,
        "intake": "\n".join(alert.intakes),
        "severity": alert.severity.value,
        "title": alert.title,
        "test": "true" if alert.test else "false",
        "affects_us": alert.affects_us.value,
        "flapping": "true" if alert.flapping else "false",
        "verdict": alert.verdict.answer.value if alert.verdict else "",
        "explained_by": "\n".join(alert.verdict.explained_by) if alert.verdict else "",
    }
    return {**alert.labels, **{LABEL + name: value for name, value in alert.labels.items()}, **own}

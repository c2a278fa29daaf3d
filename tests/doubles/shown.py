"""What people would see of the simulated systems, each place with its text: what the demo's narrator reads out."""

from __future__ import annotations

from collections.abc import Iterator

from tests.destinations.azure_devops.double import AzureDevOps
from tests.destinations.opsgenie.double import Opsgenie
from tests.destinations.pagerduty.double import PagerDuty
from tests.destinations.slack.double import Slack

Seen = Iterator[tuple[str, str]]


def of_slack(slack: Slack) -> Seen:
    with slack.lock:
        for number, message in enumerate(slack.roots(), 1):
            edits = f", edited {message.edited} time(s)" if message.edited else ""
            yield f"Slack #outages, message {number}{edits}:", message.text
            for reply in slack.replies(message.ts):
                yield f"Slack #outages, reply in the thread of message {number}:", reply.text


def of_devops(devops: AzureDevOps) -> Seen:
    with devops.lock:
        for item in devops.items.values():
            comments = f", {len(item.comments)} comment(s)" if item.comments else ""
            yield f"Azure DevOps, {item.type} {item.id}:", f"{item.fields['System.Title']} — {item.state}{comments}"


def of_opsgenie(opsgenie: Opsgenie) -> Seen:
    with opsgenie.lock:
        for alert in opsgenie.alerts.values():
            acknowledged = ", acknowledged" if alert.acknowledged else ""
            yield f"Opsgenie, alert {alert.tiny_id}:", f"{alert.message} — {alert.status}{acknowledged}"
            for number, note in enumerate(alert.notes, 1):
                yield f"Opsgenie, note {number} on alert {alert.tiny_id}, by {note.owner}:", note.text


def of_pagerduty(pagerduty: PagerDuty) -> Seen:
    with pagerduty.lock:
        for incident in pagerduty.incidents.values():
            yield f"PagerDuty, incident {incident.number}:", f"{incident.title} — {incident.status}"
            for number, note in enumerate(incident.notes, 1):
                author = pagerduty.users[note.user]["name"]
                yield f"PagerDuty, note {number} on incident {incident.number}, by {author}:", note.content

"""What tells similar alerts apart: a title that says where; and the links that an alert's author wrote. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from service_event_checker.core.model import STORMS, Alert
from service_event_checker.core.storms import LINK
from service_event_checker.core.vocabulary import Kind
from service_event_checker.render import digest
from service_event_checker.render.text import line, web_address
from service_event_checker.render.texts import say

TITLE_MAX = 240  # characters; Azure DevOps takes 255, Jira 255, Redmine 255
PLACE_MAX = 120
# The first label that is there says where; the ones of Kubernetes stand behind their namespace. docs/alertmanager.md
_OBJECTS = ("pod", "statefulset", "deployment", "daemonset", "job_name", "persistentvolumeclaim")
_PLACES = ("instance", "host", "server", "job", "service", "cluster", "namespace")
_LINKS = {
    "runbook_url": "Runbook",
    "runbook": "Runbook",
    "dashboard_url": "Dashboard",
    "dashboard": "Dashboard",
}


def alert_title(alert: Alert, limit: int = TITLE_MAX) -> str:
    """Return an alert's title in one line, with the place behind it unless it names the place: "DiskFull · db-1".

    A vendor's outage has its places in its own words.
    """
    title = line(digest.title(alert), limit)
    where = place(alert.labels) if alert.kind is Kind.ALERT or not title else ""
    if title and where:
        exact = where.rpartition("/")[2]
        title = title if exact in title else line(f"{title} · {where}", limit)
    return title or where or say("title.none")


def place(labels: Mapping[str, str]) -> str:
    """Return where an alert is, of its labels; "" where none says it. A label with several values names them all.

    It is `namespace/pod` (or another object of Kubernetes), else the instance, host, server, job, service, cluster or
    namespace.
    """
    for name in _OBJECTS:
        if shown := _flat(labels.get(name, "")):
            namespace = _flat(labels.get("namespace", ""))
            return line(f"{namespace}/{shown}" if namespace else shown, PLACE_MAX)
    return next(filter(None, (_flat(labels.get(name, "")) for name in _PLACES)), "")


def author_links(annotations: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield (text, address) of an alert's runbook and dashboard, each once; only what a browser may be sent to."""
    seen: set[str] = set()
    for name, text in _LINKS.items():
        address = web_address(annotations.get(name, ""))
        if address and text not in seen:
            seen.add(text)
            yield text, address


def summary_links(alert: Alert) -> Iterator[tuple[str, str]]:
    """Yield (internal id, address) of the alerts that the summary of a storm names; nothing for any other alert."""
    if alert.source == STORMS:
        for name, url in alert.annotations.items():
            address = web_address(url) if name.startswith(LINK) else ""
            if address:
                yield line(name.removeprefix(LINK), PLACE_MAX), address


def _flat(value: str) -> str:
    return line(", ".join(part.strip() for part in value.splitlines() if part.strip()), PLACE_MAX)

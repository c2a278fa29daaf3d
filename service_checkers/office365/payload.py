"""The service issues of Microsoft 365 (Graph, serviceHealthIssue), read into events; no I/O.

Shape: https://learn.microsoft.com/graph/api/resources/servicehealthissue. The words of its enums come in either
case. Every field may be missing or of a wrong type: what cannot be read is left out with a warning.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from service_checkers.reading.text import moment, newest, one_line, plain, text
from service_event_checker.core.errors import Reason, SourceError
from service_event_checker.core.model import FINGERPRINT_MAX, Event
from service_event_checker.core.vocabulary import EventStatus, Kind, Severity

ISSUE_URL = "https://admin.microsoft.com/Adminportal/Home?#/servicehealth/:/alerts/"
SEVERITIES = {
    "serviceinterruption": Severity.CRITICAL,
    "servicedegradation": Severity.ERROR,
    "investigating": Severity.WARNING,
    "restoringservice": Severity.WARNING,
    "verifyingservice": Severity.WARNING,
    "extendedrecovery": Severity.WARNING,
    "investigationsuspended": Severity.WARNING,
    "confirmed": Severity.WARNING,
    "reported": Severity.WARNING,
    "mitigated": Severity.WARNING,
    "mitigatedexternal": Severity.WARNING,
}
_OVER = frozenset(
    {"serviceoperational", "servicerestored", "postincidentreviewpublished", "falsepositive", "resolved"}
    | {"resolvedexternal"}
)
_CLASSES = frozenset({"advisory", "incident", ""})
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(slots=True)
class IssueReading:
    """What the issues say. `flawed`: one of them cannot be read, so absence means nothing."""

    events: dict[str, Event] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    unclear: set[str] = field(default_factory=set)
    flawed: bool = False


def read(source: str, issues: Iterable[Any]) -> IssueReading:
    """Read issues. Raises SourceError where there are some and none of them is one."""
    reading = IssueReading()
    unreadable = 0
    for issue in issues:
        name = text(issue.get("id")) if isinstance(issue, dict) else ""
        if len(name) > FINGERPRINT_MAX or not _ID.fullmatch(name):
            unreadable += 1
        else:
            _take(reading, source, name, issue)
    if unreadable:
        reading.warnings.append(f"{unreadable} issues without an id are left out")
        if not reading.events and not reading.unclear:
            raise SourceError(source, Reason.GARBAGE, "no issue of the list can be read")
    reading.flawed = bool(unreadable or reading.unclear)
    return reading


def _take(reading: IssueReading, source: str, name: str, issue: Mapping[str, Any]) -> None:
    status = _status(issue)
    if status is None:
        reading.warnings.append(f'issue {name} has no isResolved, and the status "{one_line(issue.get("status"), 40)}"')
        reading.unclear.add(name)
        return
    posts = _posts(issue)
    event = Event(
        source=source,
        fingerprint=name,
        kind=Kind.OUTAGE,
        status=status,
        title=one_line(plain(issue.get("title"))) or f"Issue {name}",
        severity=_severity(reading, name, issue, status),
        description=_description(issue, posts),
        at=newest(moment(issue.get("lastModifiedDateTime")), *(moment(post.get("createdDateTime")) for post in posts)),
        starts_at=moment(issue.get("startDateTime")),
        url=ISSUE_URL + name,
        labels=_labels(issue),
    )
    known = reading.events.get(name)
    if known is None or (event.at or _NEVER) > (known.at or _NEVER):
        reading.events[name] = event


def _status(issue: Mapping[str, Any]) -> EventStatus | None:
    """Return the state: `isResolved` decides; None if it is missing and the status is unknown."""
    resolved, word = issue.get("isResolved"), text(issue.get("status")).lower()
    if not isinstance(resolved, bool):
        if word not in _OVER and word not in SEVERITIES:
            return None
        resolved = word in _OVER
    return EventStatus.RESOLVED if resolved else EventStatus.FIRING


def _severity(reading: IssueReading, name: str, issue: Mapping[str, Any], status: EventStatus) -> Severity:
    kind, word = text(issue.get("classification")).lower(), text(issue.get("status")).lower()
    if kind not in _CLASSES:
        reading.warnings.append(f'issue {name} is of an unknown class "{one_line(issue.get("classification"), 40)}"')
    if kind == "advisory":
        return Severity.INFO
    if word not in SEVERITIES and word not in _OVER and status is EventStatus.FIRING:
        reading.warnings.append(f'issue {name} has an unknown status "{one_line(issue.get("status"), 40)}"')
    level = SEVERITIES.get(word, Severity.WARNING)
    return Severity.ERROR if issue.get("highImpact") is True and level is Severity.WARNING else level


def _posts(issue: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the posts, oldest first by when they were made."""
    listed = issue.get("posts")
    posts = [post for post in listed if isinstance(post, dict)] if isinstance(listed, list) else []
    return sorted(posts, key=lambda post: moment(post.get("createdDateTime")) or _NEVER)


def _description(issue: Mapping[str, Any], posts: list[dict[str, Any]]) -> str:
    """Return the newest words."""
    for post in reversed(posts):
        body = post.get("description")
        if isinstance(body, dict) and (said := plain(body.get("content"))):
            return said
    return plain(issue.get("impactDescription"))


def _labels(issue: Mapping[str, Any]) -> dict[str, str]:
    status = one_line(issue.get("status"), 40)
    labels = {
        "service": one_line(issue.get("service")),
        "component": one_line(issue.get("feature")),
        "group": one_line(issue.get("featureGroup")),
        "state": status[:1].lower() + status[1:],
    }
    return {name: value for name, value in labels.items() if value}

"""The two keys that our issues carry, and the ways to find an issue by one of them.

In the custom field they stand as `<remote key> <alert's key>`; where Redmine has no such field, as `[poc-<remote key>]`
in the subject. The description names the alert's key in any case: `poc-<alert's key>`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import chain
from typing import Any

import structlog

from service_event_checker.destinations.redmine.client import Issues
from service_event_checker.destinations.redmine.config import Config
from service_event_checker.destinations.redmine.payload import Issue
from service_event_checker.remote.marks import KEY_TAG, checked, tag
from service_event_checker.remote.ticket import without_copies

NOBODYS = "0" * 20  # a key that no issue carries
_VALUE = re.compile(r"([0-9a-f]{20}) ([0-9a-f]{20})")
_IN_SUBJECT = re.compile(rf"\[{KEY_TAG}([0-9a-f]{{20}})\]")
_IN_DESCRIPTION = re.compile(rf"\b{KEY_TAG}([0-9a-f]{{20}})\b")

log = structlog.get_logger()


def keys(issue: Issue, *, described: bool = True) -> frozenset[str]:
    """Return our keys that an issue carries: in any field, in its subject and, if asked, in its description."""
    inside = chain.from_iterable(found.groups() for found in _in_fields(issue))
    text = _IN_DESCRIPTION.findall(issue.description) if described else []
    return frozenset([*inside, *_IN_SUBJECT.findall(issue.subject), *text])


def remote_key(issue: Issue) -> str:
    """Return the remote key that an issue carries, "" if none."""
    return next(iter([*(found[1] for found in _in_fields(issue)), *_IN_SUBJECT.findall(issue.subject)]), "")


def _in_fields(issue: Issue) -> list[re.Match[str]]:
    """Return what in the issue's custom fields has the form of our two keys."""
    return [found for field in issue.custom_fields if (found := _VALUE.fullmatch(field.value))]


class Keyed:
    """Our issues of one project, by key. What Redmine has of the custom field is learnt from the issues that we see.

    An API key without admin rights cannot list custom fields; but every issue shows those of its tracker.
    """

    def __init__(self, issues: Issues, receiver: str, config: Config) -> None:
        self._issues = issues
        self._receiver = receiver
        self._project = {"project_id": config.project}
        self._tracker = {"tracker_id": str(config.tracker_id)}
        self._wanted = config.custom_field.strip().lower()
        #: id of the field, 0 as long as it is not known
        self.field = int(self._wanted) if self._wanted.isascii() and self._wanted.isdigit() else 0
        #: whether an issue was seen that has keys in the field; else they must stand in the subject too
        self.proven = False
        #: whether an issue was seen at all; before the first one it is not known which fields exist
        self.seen = False

    def value(self, key: str, alert_key: str) -> list[dict[str, Any]]:
        """Return what the field is to hold, as the API's `custom_fields`; empty without a field."""
        return [{"id": self.field, "value": f"{checked(key)} {checked(alert_key)}"}] if self.field else []

    def find(self, key: str) -> Issue | None:
        """Return the oldest issue with this remote key, open or closed. Raises DeliveryError."""
        return self._found(key, {"subject": f"~[{tag(key)}]"}, {"status_id": "*"})

    def find_open_for(self, alert_key: str) -> Issue | None:
        """Return the oldest open issue of this alert. Raises DeliveryError."""
        return self._found(alert_key, {"description": f"~{tag(alert_key)}"}, {"status_id": "o"})

    def all_open(self) -> list[Issue]:
        """Return all open issues with a remote key, the oldest first. Raises DeliveryError.

        Copied issues carry our key also; those that another user created are left out.
        """
        self.look_for_field()
        wide = {**self._project, "status_id": "o"}
        by_field = self._issues.all_of({**wide, f"cf_{self.field}": "*"}) if self.field else []
        listed = [*by_field, *self._issues.all_of({**wide, "subject": f"~[{KEY_TAG}"})]
        keyed = {issue.id: issue for issue in listed if remote_key(issue)}
        oldest_first = [issue for _, issue in sorted(keyed.items())]
        return without_copies(oldest_first, remote_key, lambda issue: issue.creator)

    def look_for_field(self) -> None:
        """Learn from the newest issue of our tracker, as long as there is something to learn."""
        if self._wanted and not (self.field and self.proven):
            for issue in self._issues.newest({**self._project, **self._tracker}, limit=1):
                self.learn(issue)

    def learn(self, issue: Issue) -> None:
        """See whether an issue has our field, and keys in it."""
        self.seen = True
        for field in issue.custom_fields:
            if self._wanted and self._wanted in (str(field.id), field.name.lower()):
                self.field = field.id
                self.proven = self.proven or bool(_VALUE.fullmatch(field.value))

    def is_filter(self) -> bool:
        """Whether Redmine searches by the field; it ignores silently what it cannot search by."""
        return not self._issues.newest({**self._project, f"cf_{self.field}": f"~{NOBODYS}"}, limit=1)

    def _found(self, key: str, in_text: Mapping[str, str], state: Mapping[str, str]) -> Issue | None:
        self.look_for_field()
        wide = {**self._project, **state}
        found = self._issues.newest({**wide, f"cf_{self.field}": f"~{key}"}) if self.field else []
        if any(key not in keys(issue) for issue in found):  # all there are: an unknown filter is ignored
            log.warning("redmine_field_no_filter", receiver=self._receiver, field=self.field)
            self.field, self.proven = 0, False
        found += self._issues.newest({**wide, **in_text})  # made before there was a field, or before we knew it
        carrying = [issue for issue in found if key in keys(issue)]
        return min(carrying, key=lambda issue: issue.id, default=None)

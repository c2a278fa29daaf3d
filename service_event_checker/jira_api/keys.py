"""How our issues are known: by labels made of our keys, which alone come into a query; pure.

An issue carries a label for all that we make, one for its own episode and one for the alert, whatever the episode.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from service_event_checker.core.errors import DeliveryError, Reason

TAG = "platform-outage-checker"
_EPISODE = "poc-"  # + remote key
_ALERT = "poc-alert-"  # + the alert's own key
_KEY = re.compile(r"[0-9a-f]{1,64}")


def of_episode(remote_key: str) -> str:
    """Return the label of one episode's issue. Raises DeliveryError for what is no key."""
    return _EPISODE + _checked(remote_key)


def of_alert(alert_key: str) -> str:
    """Return the label of all issues of an alert. Raises DeliveryError for what is no key."""
    return _ALERT + _checked(alert_key)


def remote_key_in(labels: Collection[str]) -> str:
    """Return the remote key that an issue's labels name, "" if none."""
    keys = (label.removeprefix(_EPISODE) for label in sorted(labels) if label.startswith(_EPISODE))
    return next((key for key in keys if _KEY.fullmatch(key)), "")


def query(project: str, label: str, *, still_open: bool = False) -> str:
    """Return the JQL for the issues of a project with one of our labels, the oldest first."""
    restriction = " AND statusCategory != Done" if still_open else ""
    return f'project = "{project}" AND labels = "{label}"{restriction} ORDER BY created ASC'


def _checked(key: str) -> str:
    if not _KEY.fullmatch(key):
        raise DeliveryError(Reason.REFUSED, "a key is hexadecimal", permanent=True)
    return key

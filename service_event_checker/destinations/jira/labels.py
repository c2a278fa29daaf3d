"""How our issues are known: by labels made of our keys, which alone come into a query; pure.

An issue carries a label for all that we make, one for its own episode (the tag of its remote key), and one for the
alert, whatever the episode.
"""

from __future__ import annotations

from collections.abc import Collection

from service_event_checker.remote.marks import KEY_TAG, checked, tagged_key

_ALERT = f"{KEY_TAG}alert-"  # + the alert's own key


def of_alert(alert_key: str) -> str:
    """Return the label of all issues of an alert. Raises DeliveryError if it is not a valid key."""
    return _ALERT + checked(alert_key)


def remote_key_in(labels: Collection[str]) -> str:
    """Return the remote key that an issue's labels name, "" if none."""
    return next(filter(None, map(tagged_key, sorted(labels))), "")


def query(project: str, label: str, *, still_open: bool = False) -> str:
    """Return the JQL for the issues of a project with one of our labels, the oldest first."""
    restriction = " AND statusCategory != Done" if still_open else ""
    return f'project = "{project}" AND labels = "{label}"{restriction} ORDER BY created ASC'

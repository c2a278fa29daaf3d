"""What people do to our issues: read from journals, whether we asked for them or a webhook brought one.

A status other than the first is work in progress, unless we set it ourselves; a note that is neither ours nor private
is news. Our own notes carry a marker, and our own user is known as soon as somebody asked Redmine who we are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from service_event_checker.core.model import Remote, RemoteNote
from service_event_checker.core.vocabulary import EventStatus, Status
from service_event_checker.destinations.redmine.client import Issues
from service_event_checker.destinations.redmine.config import Config
from service_event_checker.destinations.redmine.keys import remote_key
from service_event_checker.destinations.redmine.payload import Issue, Journal
from service_event_checker.remote.marks import is_signed
from service_event_checker.remote.ticket import EVENTS, RemoteChange, unless_gone
from service_event_checker.render.text import clean

NOTE_MAX = 4000  # characters of a person's note that are told elsewhere
NOTES = 20  # the newest of an issue
READS = 100  # issues whose journals one pass reads; the rest waits for the next


def is_told(issue: Issue, mark: str) -> bool:
    return any(mark in journal.notes for journal in issue.journals)


@dataclass(frozen=True, slots=True)
class _Read:
    """An issue as we read it last. `sure`: twice the same, so that no change of the same second was missed."""

    updated_on: str
    sure: bool
    remote: Remote


class Watch:
    """Tells how issues stand. Remembers what it read of open ones, so that a pass asks for what has changed only."""

    def __init__(self, issues: Issues, config: Config) -> None:
        self._issues = issues
        self._config = config
        self._read: dict[int, _Read] = {}

    def remotes(self, listed: Iterable[Issue]) -> list[Remote]:
        """Return how open issues stand, in order; those that are closed by now are left out. Raises DeliveryError."""
        self._issues.me()
        issues = {issue.id: issue for issue in listed}
        self._read = {id: read for id, read in self._read.items() if id in issues}
        found: dict[int, Remote | None] = {}
        reads = READS
        for issue in self._latest_first(issues.values()):
            known = self._read.get(issue.id)
            if known and known.sure and known.updated_on == issue.updated_on:
                found[issue.id] = known.remote
            elif reads > 0:
                reads -= 1
                found[issue.id] = self._read_again(issue, known)
            else:  # it is not known yet who changed its status
                found[issue.id] = known.remote if known else replace(self._remote(issue), status=Status.FIRING)
        return [remote for id in issues if (remote := found[id]) is not None]

    def remote(self, issue: Issue) -> Remote:
        """Return how an issue stands, open or not; its journals tell who brought it there. Raises DeliveryError."""
        self._issues.me()
        return self._remote(issue)

    def change(self, issue: Issue, journal: Journal) -> RemoteChange | None:
        """Return what a person did, None for our own changes. Asks nobody."""
        if self._is_ours(journal):
            return None
        return RemoteChange(
            external_id=str(issue.id),
            actor=journal.actor,
            at=journal.at,
            status=self._meaning(issue, journal.status_id) if journal.status_id is not None else None,
            notes=[(note.id, note.text) for note in self._notes([journal])],
        )

    def _latest_first(self, issues: Iterable[Issue]) -> list[Issue]:
        """Return first those whose status somebody may have changed, then the latest news."""
        firsts = self._issues.first_statuses()
        latest = sorted(issues, key=lambda issue: issue.updated_on, reverse=True)
        return sorted(latest, key=lambda issue: issue.status.id in self._resting(issue, firsts))

    def _read_again(self, listed: Issue, known: _Read | None) -> Remote | None:
        """Return the issue with its journals; None if it was closed or deleted meanwhile."""
        issue = unless_gone(lambda: self._issues.get(str(listed.id)))
        if issue is None or issue.status.closed:
            return None
        sure = known is not None and known.updated_on == issue.updated_on
        self._read[issue.id] = _Read(issue.updated_on, sure, self._remote(issue))
        return self._read[issue.id].remote

    def _remote(self, issue: Issue) -> Remote:
        moved = next((each for each in reversed(issue.journals) if each.status_id is not None), None)
        status = self._status(issue, moved)
        person = moved if moved and status is not Status.FIRING and not self._is_ours(moved) else None
        closed_at = issue.closed_at if status is Status.RESOLVED else None
        return Remote(
            external_id=str(issue.id),
            remote_key=remote_key(issue),
            status=status,
            created_at=issue.created_at,
            url=self._issues.address(issue.id),
            actor=person.actor if person else "",
            at=person.at if person else closed_at,
            notes=tuple(self._notes(issue.journals))[-NOTES:],
        )

    def _status(self, issue: Issue, moved: Journal | None) -> Status:
        if issue.status.closed:
            return Status.RESOLVED
        if issue.status.id in self._resting(issue, self._issues.first_statuses()):
            return Status.FIRING
        return Status.FIRING if moved and self._is_ours(moved) else Status.ACKNOWLEDGED

    def _meaning(self, issue: Issue, status_id: int) -> EventStatus:
        """Return what it means that a person set this status, from what is known without asking."""
        closed = issue.status.closed if issue.status.id == status_id else None
        known = self._issues.known_statuses.get(status_id)
        if closed is None:
            closed = known.closed if known else status_id == self._config.close_status_id
        if closed:
            return EVENTS[Status.RESOLVED]
        resting = status_id in self._resting(issue, self._issues.known_first_statuses)
        return EVENTS[Status.FIRING if resting else Status.ACKNOWLEDGED]

    def _resting(self, issue: Issue, firsts: Mapping[int, int]) -> frozenset[int]:
        """Return the statuses in which nobody has begun: the configured one, and the tracker's own first one."""
        configured = self._config.open_status_id
        return frozenset({configured, firsts.get(issue.tracker_id or self._config.tracker_id, configured)})

    def _is_ours(self, journal: Journal) -> bool:
        me = self._issues.known_me
        return is_signed(journal.notes) or (me is not None and journal.user is not None and journal.user.id == me)

    def _notes(self, journals: Iterable[Journal]) -> list[RemoteNote]:
        """Return what people wrote there that all who see the issue may read."""
        return [
            RemoteNote(id=str(each.id), text=clean(each.notes, NOTE_MAX), actor=each.actor, at=each.at)
            for each in journals
            if each.notes.strip() and not each.private and not self._is_ours(each)
        ]

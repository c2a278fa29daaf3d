"""What people do to our issues: read from journals, whether we asked for them or a webhook brought one.

A status other than the first is work in progress, unless we set it ourselves; a note that is neither ours nor private
is news. Our own notes carry a marker, and our own user is known as soon as somebody asked Redmine who we are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.core.model import Event, Remote, RemoteNote
from service_event_checker.core.vocabulary import EventStatus, Status
from service_event_checker.destinations.redmine.client import Issues
from service_event_checker.destinations.redmine.keys import remote_key
from service_event_checker.destinations.redmine.payload import Change, Issue, IssueStatus, Journal
from service_event_checker.remote import links
from service_event_checker.remote.marks import is_signed
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

    def __init__(self, issues: Issues, tracker_id: int, open_status_id: int, close_status_id: int) -> None:
        self._issues = issues
        self._tracker_id = tracker_id
        self._open_status_id = open_status_id
        self._close_status_id = close_status_id
        self._read: dict[int, _Read] = {}

    def remotes(self, listed: Iterable[Issue]) -> list[Remote]:
        """Return how open issues stand, in order; those that are closed by now are left out. Raises DeliveryError."""
        self._issues.me()
        issues = {issue.id: issue for issue in listed}
        self._read = {id: read for id, read in self._read.items() if id in issues}
        # first those whose status somebody may have changed, then the latest news
        order = sorted(issues.values(), key=lambda issue: issue.updated_on, reverse=True)
        order.sort(key=lambda issue: issue.status.id in self._resting(issue.tracker_id, self._issues.trackers()))
        found: dict[int, Remote | None] = {}
        reads = READS
        for issue in order:
            known = self._read.get(issue.id)
            if known and known.sure and known.updated_on == issue.updated_on:
                found[issue.id] = known.remote
            elif reads > 0:
                reads -= 1
                found[issue.id] = self._read_again(issue, known)
            else:  # nobody can tell yet who brought it into its status
                found[issue.id] = known.remote if known else replace(self._remote(issue), status=Status.FIRING)
        return [remote for id in issues if (remote := found[id]) is not None]

    def remote(self, issue: Issue) -> Remote:
        """Return how an issue stands, open or not; its journals tell who brought it there. Raises DeliveryError."""
        self._issues.me()
        return self._remote(issue)

    def events(self, change: Change, receiver: str, intake: str) -> list[Event]:
        """Return what a person did, the note before the status; nothing for our own changes. Asks nobody."""
        return [] if self._is_ours(change.journal) else list(self._events(change, receiver, intake))

    def _read_again(self, listed: Issue, known: _Read | None) -> Remote | None:
        """Return the issue with its journals; None if it was closed or deleted meanwhile."""
        try:
            issue = self._issues.get(str(listed.id))
        except DeliveryError as error:
            if error.reason is Reason.NOT_FOUND:
                return None
            raise
        if issue.status.closed:
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
            actor=person.user if person else "",
            at=person.at if person else closed_at,
            notes=tuple(_note(each) for each in issue.journals if self._is_note(each))[-NOTES:],
        )

    def _status(self, issue: Issue, moved: Journal | None) -> Status:
        if issue.status.closed:
            return Status.RESOLVED
        if issue.status.id in self._resting(issue.tracker_id, self._issues.trackers()):
            return Status.FIRING
        return Status.FIRING if moved and self._is_ours(moved) else Status.ACKNOWLEDGED

    def _events(self, change: Change, receiver: str, intake: str) -> Iterator[Event]:
        journal = change.journal
        event = links.change(
            receiver, str(change.issue.id), EventStatus.NOTED, intake=intake, actor=journal.user, at=journal.at
        )
        if self._is_note(journal):
            note = _note(journal)
            yield replace(event, note=note.text, note_id=note.id)
        if journal.status_id is not None:
            yield replace(event, status=self._meaning(change.issue, journal.status_id))

    def _meaning(self, issue: Issue, status_id: int) -> EventStatus:
        """Return what it means that a person set this status, from what is known without asking."""
        closed = issue.status.closed if issue.status.id == status_id else None
        if closed is None:
            unknown = IssueStatus(status_id, closed=status_id == self._close_status_id)
            closed = self._issues.known_statuses.get(status_id, unknown).closed
        if closed:
            return EventStatus.RESOLVED
        resting = status_id in self._resting(issue.tracker_id, self._issues.known_trackers)
        return EventStatus.UNACKNOWLEDGED if resting else EventStatus.ACKNOWLEDGED

    def _resting(self, tracker_id: int | None, trackers: Mapping[int, tuple[str, int | None]]) -> frozenset[int]:
        """Return the statuses in which nobody has begun: the configured one, and the tracker's own first one."""
        first = trackers.get(tracker_id or self._tracker_id, ("", None))[1]
        return frozenset({self._open_status_id, first or self._open_status_id})

    def _is_ours(self, journal: Journal) -> bool:
        me = self._issues.known_me
        return is_signed(journal.notes) or (me is not None and journal.user_id == me)

    def _is_note(self, journal: Journal) -> bool:
        """Whether a person wrote there what all who see the issue may read."""
        return bool(journal.notes.strip()) and not journal.private and not self._is_ours(journal)


def _note(journal: Journal) -> RemoteNote:
    return RemoteNote(id=str(journal.id), text=clean(journal.notes, NOTE_MAX), actor=journal.user, at=journal.at)

"""A line in which the writers of one process wait for their turn; who has it may take along the work of those behind.

SQLite takes one writer at a time, and its own waiting is a lottery in which some are never drawn
(https://www.sqlite.org/c3ref/busy_timeout.html). Taking along makes one transaction, and one sync to disk, of many.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import Generic, TypeVar

from service_event_checker.core.errors import StoreError

TOGETHER_MAX = 1000  # pieces of work in one transaction: for so long the next in line waits
Work = TypeVar("Work")
Result = TypeVar("Result")


@dataclass(slots=True, eq=False)
class _Place(Generic[Work, Result]):
    """A place in the line. `called`: its turn has come, or its work was done by another one (`done`)."""

    work: Sequence[Work] = ()
    called: threading.Event = field(default_factory=threading.Event)
    done: bool = False
    results: Sequence[Result] = ()
    error: BaseException | None = None


class Turns(Generic[Work, Result]):
    """First come, first served. Safe to call from several threads; a thread must not ask while it has the turn."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken = False
        self._waiting: deque[_Place[Work, Result]] = deque()

    @contextmanager
    def turn(self, patience: float) -> Iterator[float]:
        """Wait for the turn, at most `patience` seconds, and yield how many of them are left. Raises StoreError."""
        until = monotonic() + patience
        self._take(_Place(), patience)
        try:
            yield max(0.0, until - monotonic())
        finally:
            self._pass_on()

    def together(
        self, work: Sequence[Work], patience: float, act: Callable[[Sequence[Work], float], Sequence[Result]]
    ) -> Sequence[Result]:
        """Return what `act` makes of the work, one result for each piece.

        It is done in one call with the work of others who wait: by this thread, or by one that came before. `act` gets
        the seconds that are left. Raises StoreError when the turn does not come, and what `act` raises.
        """
        until = monotonic() + patience
        mine: _Place[Work, Result] = _Place(work)
        self._take(mine, patience)
        if mine.done:
            if mine.error:
                raise StoreError(str(mine.error)) from mine.error
            return mine.results
        try:
            places = [mine, *self._board(len(work))]
            _act(places, lambda all_work: act(all_work, max(0.0, until - monotonic())))
        finally:
            self._pass_on()
        if mine.error:
            raise mine.error
        return mine.results

    def _take(self, place: _Place[Work, Result], patience: float) -> None:
        """Return when the turn has come, or the work is done. One whose work is under way does not lose patience."""
        with self._lock:
            if not self._taken:
                self._taken = True
                return
            self._waiting.append(place)
        if place.called.wait(patience):
            return
        with self._lock:
            if place in self._waiting:
                self._waiting.remove(place)
                raise StoreError(f"other writers were not done within {patience:.0f} s")
        place.called.wait()

    def _board(self, number: int) -> list[_Place[Work, Result]]:
        """Take out of the line those whose work is done along, the first first."""
        taken = []
        with self._lock:
            for place in list(self._waiting):
                number += len(place.work)
                if number > TOGETHER_MAX:
                    break
                if place.work:
                    self._waiting.remove(place)
                    taken.append(place)
        return taken

    def _pass_on(self) -> None:
        with self._lock:
            if self._waiting:
                self._waiting.popleft().called.set()
            else:
                self._taken = False


def _act(places: Sequence[_Place[Work, Result]], act: Callable[[Sequence[Work]], Sequence[Result]]) -> None:
    """Do the work of all places, and hand each its results, or the error."""
    try:
        results = iter(act([piece for place in places for piece in place.work]))
        for place in places:
            place.results = [next(results) for _ in place.work]
    except BaseException as error:
        for place in places:
            place.error = error
        if not isinstance(error, Exception):
            raise
    finally:
        for place in places:
            place.done = True
            place.called.set()

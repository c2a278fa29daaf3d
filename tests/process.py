"""A process of the product in miniature: pipeline and outbox, which may die before or after any port call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from service_event_checker.core.errors import StoreError
from service_event_checker.core.model import Alert, Delivery, Event, Link
from service_event_checker.core.ports import Destination, Findable, Inbound, ObjectDestination, Selective
from service_event_checker.core.roles import Store
from service_event_checker.core.rules import Rulebook
from service_event_checker.engine.outbox import Outbox
from service_event_checker.engine.pipeline import Pipeline
from service_event_checker.engine.throttle import Throttle
from tests.sink import Clock

T = TypeVar("T")
FREE = 1e9  # deliveries per second: throttles are tested on their own
IDLE_STEP = 4.0  # seconds that pass while nothing is due


AWAY_MAX = 5  # times in a row that the store may not answer one act; then it is no passing fault


class Died(BaseException):
    """The process was killed; nothing of it runs on, not even `except Exception`."""


@dataclass
class Death:
    """When to die: at the `at`-th port call (from 1), before or after its effect; once. 0: never.

    `by`: what is raised instead, where the call fails and the process lives.
    """

    at: int = 0
    after: bool = False
    by: type[BaseException] = Died
    calls: list[str] = field(default_factory=list)

    def around(self, name: str, call: Callable[[], Any]) -> Any:
        self.calls.append(name)
        mine = len(self.calls) == self.at
        if mine and not self.after:
            raise self.by(name)
        answer = call()
        if mine:
            raise self.by(name)
        return answer


class MortalStore:
    def __init__(self, store: Any, death: Death) -> None:
        self._store, self._death = store, death

    @property
    def holding(self) -> Any:
        return MortalStore(self._store.holding, self._death)

    @property
    def audit(self) -> Any:
        return MortalStore(self._store.audit, self._death)

    @property
    def silences(self) -> Any:
        return MortalStore(self._store.silences, self._death)

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        return lambda *args, **kwargs: self._death.around(f"store.{name}", lambda: method(*args, **kwargs))


class MortalDestination:
    def __init__(self, destination: Destination, death: Death) -> None:
        self._destination, self._death = destination, death
        self.family, self.verbs = destination.family, destination.verbs

    def deliver(self, delivery: Delivery, alert: Alert, link: Link | None) -> Link | None:
        call = lambda: self._destination.deliver(delivery, alert, link)  # noqa: E731
        found: Link | None = self._death.around(f"deliver.{delivery.verb}", call)
        return found


class MortalSelective(MortalDestination):
    """One that takes some of its deliveries only."""

    def declines(self, delivery: Delivery, alert: Alert, link: Link | None) -> str:
        destination = self._destination
        assert isinstance(destination, Selective)
        return destination.declines(delivery, alert, link)


class MortalFindable(MortalDestination):
    def find(self, remote_key: str) -> Link | None:
        destination = self._destination
        assert isinstance(destination, Findable)
        found: Link | None = self._death.around("find", lambda: destination.find(remote_key))
        return found


class MortalTalking(MortalFindable):
    """One that talks back, and knows what it holds."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._destination, name)


class MortalObjects(MortalTalking):
    """One that keeps objects: the process may die before and after each of its calls."""

    def create(self, *args: Any) -> Any:
        return self._around("create", *args)

    def reopen(self, *args: Any) -> Any:
        return self._around("reopen", *args)

    def comment(self, *args: Any) -> Any:
        return self._around("comment", *args)

    def close(self, *args: Any) -> Any:
        return self._around("close", *args)

    def _around(self, call: str, *args: Any) -> Any:
        return self._death.around(call, lambda: getattr(self._destination, call)(*args))


class World:
    """A store and destinations that outlive the processes working on them."""

    def __init__(
        self,
        store: Store,
        destinations: Mapping[str, Destination],
        book: Rulebook,
        clock: Clock,
        death: Death | None = None,
    ) -> None:
        self.store, self.destinations, self.book, self.clock = store, destinations, book, clock
        self.death = death or Death()
        self.deaths = 0
        self.start()

    def start(self) -> None:
        """Start a process: everything that is not in the store or at the destinations is new."""
        store: Any = MortalStore(self.store, self.death)
        wrapped = {name: _mortal(destination, self.death) for name, destination in self.destinations.items()}
        throttles = {name: Throttle(FREE, 1000, self.clock.seconds) for name in wrapped}
        self.pipeline = Pipeline(store, self.book)
        self.outbox = Outbox(store, wrapped, self.book, throttles=throttles, clock=self.clock, jitter=lambda: 0.0)
        self.mortal_store = store

    def survive(self, act: Callable[[], T]) -> T:
        """Do it; after a death start a new process and do it again, as a sender or the schedule would.

        A store that did not answer is asked again, as the schedule does at its next tick. Raises StoreError when it
        never answers.
        """
        away = 0
        while True:
            try:
                return act()
            except Died:
                self.deaths += 1
                self.start()
            except StoreError:
                away += 1
                if away == AWAY_MAX:
                    raise

    def see(self, *events: Event) -> None:
        self.survive(lambda: self.pipeline.ingest(events, self.clock()))

    def drain_once(self) -> int:
        return sum(self.outbox.drain(name) for name in self.destinations)

    def settle_down(self, *, patience: int = 600) -> None:
        """Deliver until nothing waits; time passes only while nothing is due."""
        for _ in range(patience):
            tried = self.survive(self.drain_once)
            if not tried and not self.survive(self.store.waiting):
                return
            if not tried:
                self.clock.advance(IDLE_STEP)
                self.survive(lambda: self.mortal_store.sweep(self.clock()))
        raise AssertionError(f"{self.store.waiting()} deliveries still wait")


def _mortal(destination: Destination, death: Death) -> Destination:
    if isinstance(destination, ObjectDestination):
        return MortalObjects(destination, death)
    if isinstance(destination, Selective):
        return MortalSelective(destination, death)
    if isinstance(destination, Inbound):
        return MortalTalking(destination, death)
    return (
        MortalFindable(destination, death)
        if isinstance(destination, Findable)
        else MortalDestination(destination, death)
    )

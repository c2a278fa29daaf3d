"""Opsgenie, PagerDuty and the product between them, in memory, as config.json mirrors them; and what must hold."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from service_event_checker import wiring
from service_event_checker.config.settings import Settings
from service_event_checker.core.matchers import parse
from service_event_checker.core.mirrors import Mirrors
from service_event_checker.core.model import Alert, Event
from service_event_checker.core.rules import Rule, Rulebook
from service_event_checker.core.vocabulary import Status, Verb
from service_event_checker.engine.reconcile.passes import Reconciler
from tests.engine.mirrors.sides import MemoryOpsgenie, MemoryPagerDuty, Object, Side
from tests.factories import receiver
from tests.process import Death, World
from tests.sink import Clock

LOST, REPEATED, LATE = 0.05, 0.10, 0.10  # shares of the webhooks
LATE_MAX = 100  # seconds
ROUNDS_MAX = 30  # of webhooks to and fro; more is a loop
MIRRORS = wiring.load_config(Settings.read({})).mirrors
ACTS = (
    "create",
    "ops ack",
    "ops ack",
    "ops unack",
    "ops note",
    "ops note",
    "ops close",
    "pager ack",
    "pager ack",
    "pager time-out",
    "pager unack",
    "pager note",
    "pager note",
    "pager resolve",
    "pager reopen taken",
    "pager reopen",
)


@dataclass(frozen=True)
class Step:
    """Somebody does something to one of the objects, `wait` seconds after the step before; then we work a little."""

    act: str
    thing: int
    wait: int
    work: int


@dataclass(frozen=True)
class Weather:
    """What becomes of the webhooks on the way: `lost` is a share, `calm`: each comes once and at once.

    `nobody`: our own statuses come back, done by nobody.
    """

    seed: int
    lost: float = 0.0
    nobody: bool = False
    calm: bool = False


class Mirrored:
    """Opsgenie, PagerDuty and the product between them."""

    def __init__(self, store: Any, weather: Weather, death: Death | None = None, mirrors: Mirrors = MIRRORS) -> None:
        self.clock = Clock()
        self.ops = MemoryOpsgenie(self.clock, echoes=weather.nobody)
        self.pager = MemoryPagerDuty(self.clock, echoes=weather.nobody)
        sides: dict[str, Any] = {"pagerduty": self.pager, "opsgenie": self.ops}
        rule = Rule("page", parse('source="opsgenie"'), ("pagerduty",))
        receivers = {name: receiver(name, side.family, verbs=side.verbs) for name, side in sides.items()}
        self.world = World(store, sides, Rulebook((rule,), (), receivers, mirrors), self.clock, death)
        self.store = store
        self.weather = weather
        self.random = random.Random(weather.seed)
        self.coming: list[tuple[datetime, int, Event]] = []
        self.sent = 0
        self.world.survive(lambda: self.reconciler.run())  # as the product does when it starts
        self.ops.person_creates()

    def live(self, steps: list[Step]) -> None:
        for step in steps:
            self.wait(step.wait)
            self.act(step)
            for _ in range(step.work):
                self.hear()
                self.world.survive(self.world.drain_once)
        self.rest()

    def wait(self, seconds: float) -> None:
        """Let time pass; what comes in the meantime is heard when it comes."""
        until = self.clock() + timedelta(seconds=seconds)
        while self.coming and min(self.coming)[0] <= until:
            self.clock.now = max(self.clock(), min(self.coming)[0])
            self.hear()
        self.clock.now = until
        self.hear()

    def act(self, step: Step) -> None:
        who, _, what = step.act.partition(" ")
        if who == "create":
            self.ops.person_creates()
            return
        side: Side = self.ops if who == "ops" else self.pager
        if side.objects:
            things = list(side.objects.values())
            thing = things[step.thing % len(things)]
            _DEEDS[step.act](self, thing)

    def hear(self) -> None:
        """Send what happened on its way, and take in what has arrived by now."""
        for side in (self.ops, self.pager):
            while side.hooks:
                self._send(side.hooks.popleft())
        due = sorted(each for each in self.coming if each[0] <= self.clock())
        self.coming = [each for each in self.coming if each[0] > self.clock()]
        if due:
            self.world.see(*(event for _, _, event in due))
        self.world.survive(lambda: self.world.pipeline.unpark(self.clock()))

    def _send(self, event: Event) -> None:
        copies = 2 if self._happens(REPEATED) else 1
        for _ in range(copies):
            if not self._happens(self.weather.lost):
                self.sent += 1
                delay = self.random.uniform(1, LATE_MAX) if self._happens(LATE) else 0.0
                self.coming.append((self.clock() + timedelta(seconds=delay), self.sent, event))

    def _happens(self, share: float) -> bool:
        return not self.weather.calm and self.random.random() < share

    def rest(self) -> None:
        """Until all webhooks have come and all that is owed is paid."""
        for _ in range(ROUNDS_MAX):
            self.hear()
            self.world.settle_down()
            self.hear()
            if not self.coming and not self.ops.hooks and not self.pager.hooks and not self.store.waiting():
                return
            if self.coming:
                self.clock.now = max(self.clock(), min(self.coming)[0])
        raise AssertionError("the two sides never come to rest")

    def reconcile(self) -> list[str]:
        """Make one pass, let it have its effect, and return what another would still have mended."""
        self.clock.advance(130)  # what is younger may be on its way
        self.weather = replace(self.weather, lost=0.0)
        report = self.world.survive(lambda: self.reconciler.run())
        self.rest()
        again = self.world.survive(lambda: self.reconciler.run(dry_run=True))
        assert report.failed == again.failed == []
        return [
            f"{repair.receiver} {repair.remote.external_id} {repair.fix}" for repair in again.repairs if not repair.left
        ]

    @property
    def reconciler(self) -> Reconciler:
        return Reconciler(self.world.pipeline, self.world.destinations, [], clock=self.clock)

    # what must hold

    def check(self) -> None:
        keys = {alert.fingerprint: alert for alert in self._alerts()}
        for thing in self.ops.objects.values():
            alert = keys.get(thing.id)
            if alert is None:
                assert not thing.open, "nobody ever heard of it"
                continue
            self._check_pair(thing, alert)
        letters = [(letter.id, letter.reason) for letter in self.store.failed_deliveries()]
        assert letters == []

    def _alerts(self) -> list[Alert]:
        keys = [self.ops._born(thing).key for thing in self.ops.objects.values()]
        return list(self.store.get(keys).values())

    def _check_pair(self, thing: Object, alert: Alert) -> None:
        incidents = self._incidents(alert)
        assert len(incidents) <= 1
        assert alert.open == thing.open, "the end belongs to Opsgenie"
        assert not thing.open or alert.status is thing.status
        if not incidents:
            assert not thing.open, "nobody was paged"
            return
        (incident,) = incidents
        if thing.open and incident.open:
            allowed = (thing.status, incident.status) != (Status.ACKNOWLEDGED, Status.FIRING)
            assert allowed, "an acknowledgement that PagerDuty never saw, or whose end Opsgenie never saw"
        self._check_said(thing, incident)
        self._check_said(incident, thing)

    def _check_said(self, here: Object, there: Object) -> None:
        """Each note is there once; each status is carried at most once."""
        notes = "\n".join(there.texts(Verb.NOTE))
        assert {note.text: notes.count(note.text) for note in here.notes} == {note.text: 1 for note in here.notes}
        carried = Counter((each.verb, each.actor) for each in there.told.values() if "-person-" in each.actor)
        assert max((n for (verb, _), n in carried.items() if verb is not Verb.NOTE), default=0) <= 1

    def _incidents(self, alert: Alert) -> list[Object]:
        links = [link for link in self.store.links([alert.key]).get(alert.key, []) if link.receiver == "pagerduty"]
        ids = {link.external_id for link in links}
        return [thing for thing in self.pager.objects.values() if thing.id in ids]


def _brings(status: Status, *, only: tuple[Status, ...]) -> Callable[[Side, Object], None]:
    def deed(side: Side, thing: Object) -> None:
        if thing.status in only:
            side.person_brings(thing, status)

    return deed


F, A, R = Status.FIRING, Status.ACKNOWLEDGED, Status.RESOLVED
_DEEDS: dict[str, Callable[[Mirrored, Object], None]] = {
    "ops ack": lambda all, thing: _brings(A, only=(F, A))(all.ops, thing),
    "ops unack": lambda all, thing: _brings(F, only=(A,))(all.ops, thing),
    "ops note": lambda all, thing: all.ops.person_notes(thing),
    "ops close": lambda all, thing: _brings(R, only=(F, A))(all.ops, thing),
    "pager ack": lambda all, thing: _brings(A, only=(F,))(all.pager, thing),
    "pager time-out": lambda all, thing: all.pager.ack_times_out(thing) if thing.status is A else None,
    "pager unack": lambda all, thing: _brings(F, only=(A,))(all.pager, thing),
    "pager note": lambda all, thing: all.pager.person_notes(thing),
    "pager resolve": lambda all, thing: _brings(R, only=(F, A))(all.pager, thing),
    "pager reopen taken": lambda all, thing: _brings(A, only=(R,))(all.pager, thing),
    "pager reopen": lambda all, thing: _brings(F, only=(R,))(all.pager, thing),
}

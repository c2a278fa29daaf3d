"""Opsgenie and PagerDuty as doubles with the real adapters between them: for tests of the mirror as a whole."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from typing import Any

from service_event_checker.core.matchers import parse
from service_event_checker.core.model import Alert
from service_event_checker.core.rules import Rule, Rulebook
from service_event_checker.core.vocabulary import Family, Status
from service_event_checker.destinations.opsgenie import adapter as opsgenie
from service_event_checker.destinations.pagerduty import adapter as pagerduty
from service_event_checker.engine.reconcile.passes import Reconciler
from tests.destinations.opsgenie.double import KEY, OpsAlert, Opsgenie
from tests.destinations.pagerduty.double import ALICE, BOB, SECRET, SERVICE, TOKEN, Incident, PagerDuty
from tests.engine.mirrors.mirrored import LATE, LATE_MAX, LOST, MIRRORS, REPEATED
from tests.factories import receiver
from tests.process import Death, World
from tests.sink import Clock

ROUNDS_MAX = 20  # of webhooks to and fro; more is a loop
TICK = 0.001  # seconds
DEADLINE = timedelta(seconds=10)


class Bridge:
    """An alert that was born in Opsgenie, and its incident in PagerDuty."""

    def __init__(
        self, store: Any, ops: Opsgenie, pager: PagerDuty, user: str = "bot@example.com", death: Death | None = None
    ) -> None:
        self.clock, self.ops, self.pager = Clock(), ops, pager
        ops.clock, pager.now = lambda: self._tick().timestamp(), self._tick
        made = {"url": pager.url, "token": TOKEN, "service_id": SERVICE, "webhook_secret": SECRET, "timeout": DEADLINE}
        self.sides: dict[str, Any] = {
            "opsgenie": opsgenie.Adapter("opsgenie", opsgenie.Config(url=ops.url, token=KEY, timeout=DEADLINE)),
            "pagerduty": pagerduty.Adapter("pagerduty", pagerduty.Config(**made, email="bot@example.com", user=user)),
        }
        rule = Rule("page", parse('source="opsgenie"'), ("pagerduty",))
        receivers = {
            name: receiver(name, Family.PAGER, verbs=side.verbs, deadline=DEADLINE) for name, side in self.sides.items()
        }
        self.world = World(store, self.sides, Rulebook((rule,), (), receivers, MIRRORS), self.clock, death)
        self.hooks = {"opsgenie": ops.webhooks, "pagerduty": pager.webhooks}
        self.world.survive(lambda: self.reconciler.run())  # as the product does when it starts
        ops.create("Test alert", username="alice@example.com")
        self.carry()

    def carry(self) -> None:
        """Pay what is owed and deliver all webhooks, until both sides are quiet."""
        for _ in range(ROUNDS_MAX):
            self.world.settle_down()
            if not any(self.hooks.values()):
                return
            for name in self.hooks:
                while self.hooks[name]:
                    self.hear(name, *self.hooks[name].popleft())
            self.clock.advance(5)
        raise AssertionError("the two sides never come to rest")

    def hear(self, name: str, headers: dict[str, str], body: bytes) -> None:
        self.world.see(*self.sides[name].parse(headers, json.loads(body)))
        self.world.survive(lambda: self.world.pipeline.unpark(self.clock()))

    def reconcile(self) -> list[str]:
        """Make one pass, let it have its effect, and return what another would still have mended."""
        self.clock.advance(130)  # what is younger may be on its way
        report = self.world.survive(lambda: self.reconciler.run())
        self.carry()
        again = self.world.survive(lambda: self.reconciler.run(dry_run=True))
        assert report.failed == again.failed == []
        return [f"{repair.receiver} {repair.fix}" for repair in again.repairs if not repair.left]

    @property
    def reconciler(self) -> Reconciler:
        return Reconciler(self.world.pipeline, self.sides, [], clock=self.clock)

    def _tick(self) -> datetime:
        """No two things happen at the same time."""
        self.clock.advance(TICK)
        return self.clock()

    @property
    def alert(self) -> OpsAlert:
        (alert,) = self.ops.alerts.values()
        return alert

    @property
    def incident(self) -> Incident:
        (incident,) = self.pager.incidents.values()
        return incident

    @property
    def status(self) -> Status:
        (alert,) = self.world.store.open_alerts()
        return alert.status

    @property
    def told(self) -> list[str]:
        """What Opsgenie was told that no person wrote there."""
        return [note.text for note in self.alert.notes if note.owner == "platform-outage-checker"]


class History:
    """Random deeds of people on a bridge; webhooks come late, twice or, where `lost`, never."""

    def __init__(self, bridge: Bridge, seed: int, *, lost: bool) -> None:
        self.bridge, self.ops, self.pager = bridge, bridge.ops, bridge.pager
        self.random = random.Random(seed)
        self.lost = LOST if lost else 0.0
        self.coming: list[tuple[datetime, str, dict[str, str], bytes]] = []
        self.noted: list[str] = []

    def live(self, length: int) -> None:
        for number in range(length):
            self.bridge.clock.advance(self.random.choice((1, 10, 20)))
            self._act(number)
            self._deliver(self.bridge.clock())
            if self.random.random() < 0.7:
                self.bridge.world.drain_once()
        self._deliver(datetime.max.replace(tzinfo=UTC))
        self.bridge.carry()

    def check(self) -> None:
        for alert in self.ops.alerts.values():
            ours, incident = self._pair(alert)
            assert (ours.open, alert.open) in ((True, True), (False, False))
            if alert.open:
                assert (ours.status is Status.ACKNOWLEDGED) == alert.acknowledged
            assert not (alert.open and alert.acknowledged and incident.status == "triggered")
        everything = [note.text for alert in self.ops.alerts.values() for note in alert.notes]
        everything += [text for incident in self.pager.incidents.values() for text in incident.contents]
        for said in self.noted:
            assert len([text for text in everything if said in text]) == 2, said  # where it was written, and there

    def _pair(self, alert: OpsAlert) -> tuple[Alert, Incident]:
        """Return our alert and the incident of an alert over there."""
        store = self.bridge.world.store
        link = store.link_by("opsgenie", alert.id)
        assert link is not None
        (there,) = (each for each in store.links([link.key])[link.key] if each.receiver == "pagerduty")
        return store.get([link.key])[link.key], self.pager.incidents[there.external_id]

    def _act(self, number: int) -> None:
        alert = self.random.choice(list(self.ops.alerts.values()))
        incident = self.random.choice(list(self.pager.incidents.values()))
        user, person = f"person-{number}", self.random.choice((ALICE, BOB))
        said = f"({number}) looking into it"
        deeds = [lambda: self._note(said, lambda: self.pager.person_notes(incident.id, said, person))]
        if incident.status == "acknowledged":
            deeds += [
                lambda: self.pager.ack_times_out(incident.id),
                lambda: self.pager.person_reopens(incident.id, person),
            ]
        if incident.status != "resolved":
            deeds += [lambda: self.pager.person_acknowledges(incident.id, person)] * 2
            deeds += [lambda: self.pager.person_resolves(incident.id, person)]
        else:
            deeds += [lambda: self.pager.person_reopens(incident.id, person)]
            deeds += [lambda: self.pager.person_acknowledges(incident.id, person)]
        deeds += [lambda: self._note(said, lambda: self.ops.person_notes(alert.id, said, user))]
        if alert.open:
            deeds += [lambda: self.ops.person_acknowledges(alert.id, user)] * 2
            deeds += [lambda: self.ops.person_closes(alert.id, user)] if number % 3 == 0 else []
        if alert.open and alert.acknowledged:
            deeds += [lambda: self.ops.person_unacknowledges(alert.id, user)]
        if len(self.ops.alerts) < 2 and number > 2:
            deeds += [lambda: self.ops.create("Another", username=user)]
        self.random.choice(deeds)()

    def _note(self, said: str, write: Any) -> None:
        self.noted.append(said)
        write()

    def _deliver(self, until: datetime) -> None:
        """Send what happened on its way; hear what has come by now."""
        for name, waiting in self.bridge.hooks.items():
            while waiting:
                self._send(name, *waiting.popleft())
        due = [hook for hook in self.coming if hook[0] <= until]
        self.coming = [hook for hook in self.coming if hook[0] > until]
        for _, name, headers, body in sorted(due, key=lambda hook: hook[0]):
            self.bridge.hear(name, headers, body)

    def _send(self, name: str, headers: dict[str, str], body: bytes) -> None:
        for _ in range(2 if self.random.random() < REPEATED else 1):
            delay = self.random.uniform(1, LATE_MAX) if self.random.random() < LATE else 0.0
            if self.random.random() >= self.lost:
                self.coming.append((self.bridge.clock() + timedelta(seconds=delay), name, headers, body))

"""A chat is down: severe alerts go to its fallback within a minute, and one digest follows when it is back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from service_event_checker.core import failover as decide
from service_event_checker.core import ledger
from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.core.flapping import Flapping
from service_event_checker.core.model import Alert, Delivery, Link
from service_event_checker.core.ports import Destination
from service_event_checker.core.rules import Rule, Rulebook
from service_event_checker.core.vocabulary import EventStatus, Family, Severity, Status, Verb, Why
from service_event_checker.engine import failover
from service_event_checker.engine.throttle import KeptInStore, Throttle
from tests.factories import NOW, event, receiver
from tests.process import Death, World
from tests.sink import Clock, Sink, Unsearchable

TICK = 5.0
SLACK_KIND = {"chat": "slack"}
pytestmark = pytest.mark.parametrize("store_kind", ["memory", "sqlite"], indirect=True)


class Fragile(Sink):
    """A chat that may be down; what it shows is the newest text."""

    family = Family.CHAT
    verbs = frozenset(Verb) - {Verb.RUN}

    def __init__(self, clock: Clock, family: Family | None = None) -> None:
        super().__init__(clock, family)
        self.down = False
        self.reason = Reason.UNREACHABLE
        self.texts: list[str] = []
        self.shown: dict[str, Status] = {}

    def deliver(self, delivery: Delivery, alert: Alert, link: Link | None) -> Link | None:
        self._answer()
        made = super().deliver(delivery, alert, link)
        self.texts.append(f"{delivery.verb} {alert.title}\n{alert.description}")
        self.shown[alert.title] = alert.status
        return made

    def find(self, remote_key: str) -> Link | None:
        self._answer()
        return super().find(remote_key)

    def _answer(self) -> None:
        if self.down:
            raise DeliveryError(self.reason, "no connection")


class Mail(Unsearchable):
    family = Family.MAIL
    verbs = frozenset({Verb.OPEN, Verb.CLOSE})

    @property
    def opened(self) -> list[str]:
        return [id for verb, id in self.told if verb is Verb.OPEN]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def chat(clock: Clock) -> Fragile:
    return Fragile(clock)


@pytest.fixture
def mail(clock: Clock) -> Mail:
    return Mail(clock)


MakeWorld = Callable[..., World]


@pytest.fixture
def make(fresh_store: Any, clock: Clock, chat: Fragile, mail: Mail) -> MakeWorld:
    def build(
        *, send: tuple[str, ...] = ("chat",), death: Death | None = None, flapping: Flapping | None = None
    ) -> World:
        destinations: dict[str, Destination] = {"chat": chat, "mail": mail}
        receivers = {
            "chat": receiver("chat", chat.family, verbs=chat.verbs, fallback="mail"),
            "mail": receiver("mail", Family.MAIL, verbs=mail.verbs, findable=False),
        }
        book = Rulebook((Rule("all", (), send),), (), receivers, flapping=flapping)
        return World(fresh_store(), destinations, book, clock, death)

    return build


def tick(world: World) -> int:
    """Let five seconds pass: the outbox delivers what is due, and the job looks for receivers that are down."""

    def act() -> int:
        while world.drain_once():
            pass
        return failover.run(world.outbox, world.pipeline, SLACK_KIND, world.clock())

    sent = world.survive(act)
    world.clock.advance(TICK)
    return sent


def ticks(world: World, seconds: float) -> None:
    for _ in range(int(seconds / TICK)):
        tick(world)


def critical(name: str, **changes: Any) -> Any:
    return event(fingerprint=name, title=name, severity=Severity.CRITICAL, **changes)


def over(name: str, clock: Clock) -> Any:
    return critical(name, status=EventStatus.RESOLVED, at=clock())


def ledger_of(world: World, key: str) -> list[tuple[str, str, str, str]]:
    alert, store = world.store.get([key])[key], world.store
    found = ledger.entries(
        alert,
        steps=[*store.timeline(key), *store.outcomes(key, alert.episode)],
        waiting=store.waiting_deliveries(key=key),
        failed=[],
        links=store.links([key]).get(key, []),
        receivers=[],
    )
    return [(each.receiver, str(each.verb), each.state.value, each.why) for each in found]


def test_while_the_chat_is_down_for_ten_minutes_severe_alerts_go_by_mail_and_one_digest_follows(
    make: MakeWorld, clock: Clock, chat: Fragile, mail: Mail
) -> None:
    world = make()
    chat.down = True
    world.see(critical("A"))
    ticks(world, 60)
    assert len(mail.opened) == 1

    world.see(critical("B"), event(fingerprint="C", title="C", severity=Severity.WARNING))
    ticks(world, 15)
    assert len(mail.opened) == 2  # it is known to be down: nobody waits a minute again
    world.see(over("B", clock))
    ticks(world, 600 - 75)
    assert (len(mail.opened), chat.things) == (2, [])

    chat.down = False
    ticks(world, 400)

    digests = [text for text in chat.texts if "could not be reached" in text]
    assert len(digests) == 1
    head, *listed = digests[0].splitlines()
    assert head == "open 2 alerts were sent to mail while chat could not be reached"
    assert sorted(line.partition(": ")[2] for line in listed) == ["A", "B"]
    shown = {thing.title for thing in chat.things}
    assert {"A", "C"} <= shown  # still open: the chat gets its message as well
    assert "B" not in shown  # over: the digest is enough
    assert ("chat", "open", "delivered", "delivered by fallback mail") in ledger_of(world, critical("B").key)
    assert world.store.waiting() == 0
    assert len(mail.opened) == len(set(mail.opened)) == 2


def error(name: str, clock: Clock, status: EventStatus = EventStatus.FIRING) -> Any:
    return event(fingerprint=name, title=name, status=status, starts_at=clock(), at=clock())


def flap(world: World, clock: Clock, times: int) -> None:
    """Have an alert end and open again."""
    for _ in range(times):
        world.see(error("A", clock, EventStatus.RESOLVED))
        clock.advance(1)
        world.see(error("A", clock))
        clock.advance(1)


def test_an_alert_that_flaps_while_the_chat_is_down_goes_to_the_fallback_as_well(
    make: MakeWorld, clock: Clock, chat: Fragile, mail: Mail
) -> None:
    world = make(flapping=Flapping(changes=1))
    chat.down = True
    world.see(error("A", clock))
    flap(world, clock, 3)

    ticks(world, 60)

    assert len(mail.opened) == 1


@pytest.mark.parametrize("told_before", [True, False])
def test_the_chat_shows_an_alert_that_flapped_while_it_was_down_and_still_fires(
    make: MakeWorld, clock: Clock, chat: Fragile, told_before: bool
) -> None:
    world = make(flapping=Flapping(changes=1))
    chat.down = True
    world.see(error("A", clock))
    if told_before:
        ticks(world, 60)
    flap(world, clock, 2)
    ticks(world, 60)

    chat.down = False
    ticks(world, 400)

    assert [(thing.title, thing.open) for thing in chat.things if "could not be" not in thing.title] == [("A", True)]
    assert chat.shown["A"] is Status.FIRING


def test_more_alerts_than_one_run_takes_all_go_to_the_fallback(
    make: MakeWorld, chat: Fragile, mail: Mail, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failover, "AT_ONCE", 2)
    world = make()
    chat.down = True
    world.see(*(critical(f"{number}") for number in range(5)))

    ticks(world, 80)

    assert len(mail.opened) == 5


def test_a_note_on_a_digest_that_was_sent_does_not_keep_the_next_one_back(
    make: MakeWorld, clock: Clock, chat: Fragile
) -> None:
    world = make()
    chat.down = True
    world.see(critical("A"))
    ticks(world, 60)
    chat.down = False
    ticks(world, 400)
    chat.down = True
    note = event(source=decide.SOURCE, fingerprint="chat", status=EventStatus.NOTED, note="seen", note_id="1")
    world.see(note, critical("B"))

    ticks(world, 60)
    chat.down = False
    ticks(world, 400)

    assert len([text for text in chat.texts if text.startswith("open 1 alert was sent")]) == 2


def test_what_the_fallback_has_told_is_no_proof_that_the_chat_works(
    make: MakeWorld, clock: Clock, chat: Fragile
) -> None:
    world = make()
    chat.down = True
    world.see(critical("A"))
    ticks(world, 60)
    world.see(over("A", clock))

    ticks(world, 60)

    assert ("chat", "open", "delivered", "delivered by fallback mail") in ledger_of(world, critical("A").key)
    failures, seconds = world.outbox.throttles["chat"].failing(world.store)
    assert failures >= decide.FAILURES_MIN
    assert seconds > 90


def test_the_fallback_hears_of_the_end_too(make: MakeWorld, clock: Clock, chat: Fragile, mail: Mail) -> None:
    world = make()
    chat.down = True
    world.see(critical("A"))
    ticks(world, 60)

    world.see(over("A", clock))
    ticks(world, 10)

    assert [verb for verb, _ in mail.told] == [Verb.OPEN, Verb.CLOSE]


def test_a_call_that_hangs_until_its_deadline_is_evidence_within_a_minute_too(
    make: MakeWorld, clock: Clock, chat: Fragile, mail: Mail
) -> None:
    world = make()
    chat.down, chat.reason = True, Reason.TIMEOUT
    chat._answer = lambda: _hang(clock)  # type: ignore[method-assign]
    world.see(critical("A"))
    began = clock()

    while not tick(world) and clock() - began < timedelta(minutes=5):
        pass

    assert clock() - began <= timedelta(seconds=60)


def _hang(clock: Clock) -> None:
    clock.advance(15)
    raise DeliveryError(Reason.TIMEOUT)


def test_a_second_time_down_is_a_second_digest(make: MakeWorld, chat: Fragile) -> None:
    world = make()
    for name in ("A", "B"):
        chat.down = True
        world.see(critical(name))
        ticks(world, 60)
        chat.down = False
        ticks(world, 120)

    digests = [text.splitlines() for text in chat.texts if "could not be reached" in text]
    assert [lines[0] for lines in digests] == ["open 1 alert was sent to mail while chat could not be reached"] * 2
    assert [lines[1].partition(": ")[2] for lines in digests] == ["A", "B"]


def test_whom_a_rule_tells_anyway_is_told_once(make: MakeWorld, chat: Fragile, mail: Mail) -> None:
    world = make(send=("chat", "mail"))
    chat.down = True
    world.see(critical("A"))

    ticks(world, 300)
    chat.down = False
    ticks(world, 120)

    assert len(mail.opened) == 1
    assert [text for text in chat.texts if "could not be reached" in text] == []


@pytest.mark.parametrize(
    "changes",
    [{"severity": Severity.WARNING}, {"severity": Severity.INFO}, {"test": True}],
    ids=["warning", "info", "test"],
)
def test_what_is_not_severe_and_what_is_a_test_waits_for_the_chat(
    changes: dict[str, Any], make: MakeWorld, chat: Fragile, mail: Mail
) -> None:
    world = make()
    chat.down = True
    world.see(event(**changes))

    ticks(world, 300)

    assert (mail.told, world.store.waiting()) == ([], 1)


def test_an_open_alert_that_becomes_severe_goes_to_the_fallback_as_well(
    make: MakeWorld, clock: Clock, chat: Fragile, mail: Mail
) -> None:
    world = make()
    world.see(event(fingerprint="A", title="A", severity=Severity.WARNING), critical("B"))
    ticks(world, 60)
    chat.down = True

    world.see(critical("A"), critical("B", description="more words"))
    ticks(world, 120)
    first = list(mail.opened)
    world.see(over("A", clock))
    chat.down = False
    ticks(world, 400)

    assert len(first) == 1  # B was critical when the chat told it: the words wait for the chat
    assert [verb for verb, _ in mail.told] == [Verb.OPEN, Verb.CLOSE]
    digests = [text.splitlines() for text in chat.texts if "could not be reached" in text]
    assert [lines[1].partition(": ")[2] for lines in digests] == ["A"]
    assert sorted(thing.title for thing in chat.things if "could not" not in thing.title) == ["A", "B"]
    assert world.store.waiting() == 0


def test_a_red_page_of_the_vendor_switches_nothing_and_shortens_the_wait(
    make: MakeWorld, clock: Clock, chat: Fragile, mail: Mail
) -> None:
    world = make()
    world.see(event(source="slack", fingerprint="outage", severity=Severity.WARNING))
    ticks(world, 120)
    assert mail.told == []

    chat.down = True
    world.see(critical("A"))
    ticks(world, 25)

    assert len(mail.opened) == 1


def test_a_delivery_that_is_refused_for_its_own_sake_is_no_evidence(make: MakeWorld, chat: Fragile, mail: Mail) -> None:
    world = make()
    chat.failures.extend([DeliveryError(Reason.REFUSED, "too long", permanent=True)] * 3)
    world.see(*(critical(name) for name in "ABC"))

    ticks(world, 120)

    steps = [step for name in "ABC" for step in world.store.timeline(critical(name).key)]
    assert [step for step in steps if step.why is Why.FAILED_OVER] == []
    assert [text for text in chat.texts if "could not be reached" in text] == []


def test_a_ticket_system_catches_up_by_itself_and_gets_no_digest(
    make: MakeWorld, clock: Clock, chat: Fragile, mail: Mail
) -> None:
    chat.family = Family.TICKET
    world = make()
    chat.down = True
    world.see(critical("A"))
    ticks(world, 60)
    world.see(over("A", clock))

    chat.down = False
    ticks(world, 120)

    assert len(mail.opened) == 1
    assert [thing.title for thing in chat.things] == ["A"]


def test_killed_anywhere_the_fallback_is_told_once_and_the_digest_lists_it(
    fresh_store: Any, make: MakeWorld, clock: Clock, chat: Fragile, mail: Mail, store_kind: str
) -> None:
    stride = 3 if store_kind == "memory" else 23
    for at in range(1, 140, stride):
        for after in (False, True):
            clock.now = NOW
            chat.__init__(clock)  # type: ignore[misc]
            mail.__init__(clock)  # type: ignore[misc]
            chat.down = True
            world = make(death=Death(at, after))
            world.see(critical("A"))
            ticks(world, 120)
            chat.down = False
            ticks(world, 150)

            sent = set(mail.opened)
            assert len(sent) == 1, (at, after)
            digests = [text for text in chat.texts if "could not be reached" in text]
            assert {text.splitlines()[1].partition(": ")[2] for text in digests} == {"A"}, (at, after)
            assert world.store.waiting() == 0, (at, after)


def test_two_processes_tell_the_fallback_once(make: MakeWorld, clock: Clock, chat: Fragile, mail: Mail) -> None:
    one = make()
    two = World(one.store, one.destinations, one.book, clock)
    for world in (one, two):
        world.outbox.throttles = {
            name: Throttle(1e9, 1000, lambda: clock().timestamp(), shared=KeptInStore(one.store, name))
            for name in one.destinations
        }
    chat.down = True
    one.see(critical("A"))

    for _ in range(20):
        tick(one)
        failover.run(two.outbox, two.pipeline, SLACK_KIND, clock())

    assert len(mail.opened) == 1
    alert = one.store.get([critical("A").key])[critical("A").key]
    assert alert.receivers == ("chat", "mail")
    assert list(one.store.get([decide.digest_key("chat")])[decide.digest_key("chat")].annotations.values()) == ["A"]

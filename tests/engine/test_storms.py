"""A storm: over its budget a chat gets one summary; nothing is lost, tickets are as always, later alerts as before."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from service_event_checker.core import storms as decide
from service_event_checker.core.errors import DeliveryError, Reason, StoreError
from service_event_checker.core.model import STORMS, Alert, Budget, Delivery, Link
from service_event_checker.core.ports import Destination
from service_event_checker.core.rules import Rule, Rulebook
from service_event_checker.core.vocabulary import EventStatus, Family, Severity, Verb
from service_event_checker.engine import storms
from service_event_checker.engine.ledger import ledger
from tests.factories import event, receiver
from tests.process import Death, Died, World
from tests.sink import Clock, Sink, Thing, Unsearchable

WITHIN = timedelta(minutes=5)
BUDGET = Budget(4, WITHIN)
TICK = 5.0
pytestmark = pytest.mark.parametrize("store_kind", ["memory", "sqlite"], indirect=True)


class Chat(Sink):
    """A chat that may be down, and that keeps what each message says now."""

    family = Family.CHAT
    verbs = frozenset(Verb) - {Verb.RUN}

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.down = False
        self.texts: dict[str, str] = {}

    def deliver(self, delivery: Delivery, alert: Alert, link: Link | None) -> Link | None:
        if self.down:
            raise DeliveryError(Reason.UNREACHABLE, "no connection")
        made = super().deliver(delivery, alert, link)
        if made:
            self.texts[made.external_id] = f"{alert.title}\n{alert.description}"
        return made

    @property
    def summaries(self) -> list[Thing]:
        return [each for each in self.things if each.title.startswith("Storm")]

    @property
    def own(self) -> list[str]:
        return [each.title for each in self.things if not each.title.startswith("Storm")]


class Mail(Unsearchable):
    family = Family.MAIL
    verbs = frozenset({Verb.OPEN, Verb.CLOSE})

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.subjects: list[str] = []

    def deliver(self, delivery: Delivery, alert: Alert, link: Link | None) -> Link | None:
        self.subjects.append(f"{delivery.verb} {alert.title}")
        return super().deliver(delivery, alert, link)


class Sms(Mail):
    """Takes critical alerts only."""

    def declines(self, delivery: Delivery, alert: Alert, link: Link | None) -> str:
        if alert.severity is not Severity.CRITICAL:
            return "not critical"
        return "told already" if link and delivery.verb is Verb.UPDATE else ""


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def chat(clock: Clock) -> Chat:
    return Chat(clock)


@pytest.fixture
def tickets(clock: Clock) -> Sink:
    return Sink(clock)


MakeWorld = Callable[..., World]


@pytest.fixture
def make(fresh_store: Any, clock: Clock, chat: Chat, tickets: Sink) -> MakeWorld:
    def build(*, send: tuple[str, ...] = ("chat",), death: Death | None = None, other: Any = None) -> World:
        destinations: dict[str, Destination] = {"chat": chat, "tickets": tickets}
        receivers = {
            "chat": receiver("chat", Family.CHAT, verbs=chat.verbs, storm=BUDGET),
            "tickets": receiver("tickets", Family.TICKET, verbs=tickets.verbs),
        }
        if other:
            destinations["other"] = other
            receivers["other"] = receiver("other", other.family, verbs=other.verbs, findable=False, storm=BUDGET)
        return World(fresh_store(), destinations, Rulebook((Rule("all", (), send),), (), receivers), clock, death)

    return build


def tick(world: World, seconds: float = TICK) -> None:
    """Let some time pass: the outbox delivers what is due, and the job looks after the summaries."""

    def act() -> None:
        while world.drain_once():
            pass
        storms.run(world.pipeline, world.clock())

    world.survive(act)
    world.clock.advance(seconds)


def ticks(world: World, seconds: float, step: float = TICK) -> None:
    for _ in range(int(seconds / step)):
        tick(world, step)


def fire(name: str, severity: Severity = Severity.WARNING, **changes: Any) -> Any:
    return event(fingerprint=name, title=name, severity=severity, url=f"https://example.com/{name}", **changes)


def over(name: str, clock: Clock) -> Any:
    return fire(name, status=EventStatus.RESOLVED, at=clock())


def acted(name: str, status: EventStatus) -> Any:
    return fire(name, status=status, at=None, actor="Ada", person=True)


def burst(world: World, number: int, severity: Severity = Severity.WARNING, prefix: str = "a") -> list[str]:
    names = [f"{prefix}{each}" for each in range(number)]
    world.see(*(fire(name, severity) for name in names))
    return names


def states(world: World, name: str, receiver: str = "chat") -> list[tuple[str, str]]:
    alert = world.store.get([fire(name).key])[fire(name).key]
    found = ledger(world.store, alert, (), world.store.timeline(alert.key))
    return [(str(each.verb), each.state.value) for each in found if each.receiver == receiver]


def summary_of(world: World, receiver: str = "chat") -> Alert:
    key = decide.key_of(receiver)
    return world.store.get([key])[key]


def test_over_the_budget_one_summary_stands_for_the_rest_and_tickets_are_as_always(
    make: MakeWorld, chat: Chat, tickets: Sink
) -> None:
    world = make(send=("chat", "tickets"))

    names = burst(world, 60)
    ticks(world, 60)

    assert len(chat.own) == BUDGET.messages
    assert [each.title for each in chat.summaries] == ["Storm: 56 alerts in one summary, 0 critical, 56 open"]
    assert len(tickets.things) == 60
    found = [states(world, name)[0] for name in names]
    assert found.count(("open", "summarised")) == 56
    assert found.count(("open", "delivered")) == 4
    text = chat.texts[chat.summaries[0].id]
    assert "Severity: warning 56\nSource: github 56\nGroup: " in text
    assert text.count("warning: a") == 10


def test_the_ledger_leads_to_the_summary(make: MakeWorld, chat: Chat) -> None:
    world = make()
    burst(world, 10)
    ticks(world, 30)

    alert = next(each for each in world.store.open_alerts("github") if states(world, each.title)[0][1] == "summarised")
    (entry,) = ledger(world.store, alert, (), world.store.timeline(alert.key))

    assert entry.url == f"http://sink.test/{chat.summaries[0].id}"
    assert entry.why == f"in the summary {summary_of(world).internal_id}"
    assert entry.tries == 0


def test_within_the_budget_nothing_is_summarised(make: MakeWorld, chat: Chat) -> None:
    world = make()

    for number in range(3):
        burst(world, BUDGET.messages, prefix=f"round{number}-")
        ticks(world, WITHIN.total_seconds() + TICK)

    assert len(chat.own) == 3 * BUDGET.messages
    assert chat.summaries == []


def test_the_summary_is_edited_and_ends_with_one_line_and_later_alerts_get_their_own_messages(
    make: MakeWorld, chat: Chat, clock: Clock
) -> None:
    world = make()
    names = burst(world, 20)
    ticks(world, 30)
    burst(world, 10, prefix="b")
    world.see(*(over(name, clock) for name in names))
    ticks(world, WITHIN.total_seconds() + 30)

    assert [each.title for each in chat.summaries] == ["Storm over: 26 alerts summarised, 10 still open"]
    assert [verb for verb, id in chat.told if id.startswith(decide.key_of("chat"))][-1] is Verb.CLOSE

    world.see(fire("late"))
    ticks(world, 30)
    assert "late" in chat.own
    assert len(chat.summaries) == 1


def test_an_alert_that_had_its_message_gets_its_end_there_and_a_covered_one_in_the_summary(
    make: MakeWorld, chat: Chat, clock: Clock
) -> None:
    world = make()
    world.see(fire("first"))
    tick(world)
    names = burst(world, 20)
    ticks(world, 20)

    world.see(over("first", clock), *(over(name, clock) for name in names))
    ticks(world, 30)

    assert [each.open for each in chat.things if each.title == "first"] == [False]
    assert states(world, "first") == [("open", "delivered"), ("close", "delivered")]
    covered = [name for name in names if name not in chat.own]
    assert {tuple(states(world, name)) for name in covered} == {(("open", "summarised"), ("close", "summarised"))}


def test_the_end_of_a_covered_alert_is_covered_after_the_storm_as_well(
    make: MakeWorld, chat: Chat, clock: Clock
) -> None:
    world = make()
    names = burst(world, 10)
    ticks(world, WITHIN.total_seconds() + 30)
    said = len(chat.told)

    world.see(*(over(name, clock) for name in names if name not in chat.own))
    ticks(world, 30)

    assert len(chat.told) == said
    assert world.store.waiting() == 0


def test_the_first_critical_alerts_have_a_reserve_and_the_summary_names_the_others(make: MakeWorld, chat: Chat) -> None:
    world = make()
    burst(world, 20)
    ticks(world, 30)

    names = burst(world, 5, Severity.CRITICAL, "bad")
    ticks(world, 30)

    assert sorted(set(chat.own) & set(names)) == sorted(chat.own[BUDGET.messages :])
    assert len(chat.own) == BUDGET.messages + BUDGET.messages // 2
    text = chat.texts[chat.summaries[0].id]
    assert all(f"critical: {name} (" in text for name in names if name not in chat.own)
    assert summary_of(world).severity is Severity.CRITICAL


def test_a_covered_alert_that_becomes_critical_gets_its_own_message(make: MakeWorld, chat: Chat) -> None:
    world = make()
    names = burst(world, 20)
    ticks(world, 30)
    covered = next(name for name in names if name not in chat.own)

    world.see(fire(covered, Severity.CRITICAL))
    ticks(world, 10)

    assert covered in chat.own


def test_what_a_person_does_is_told_and_what_they_do_to_very_many_is_not(make: MakeWorld, chat: Chat) -> None:
    world = make()
    names = burst(world, 40)
    ticks(world, 30)
    covered = [name for name in names if name not in chat.own]

    world.see(acted(covered[0], EventStatus.ACKNOWLEDGED))
    ticks(world, 10)
    assert covered[0] in chat.own

    world.see(*(acted(name, EventStatus.ACKNOWLEDGED) for name in covered[1:]))
    ticks(world, 30)
    assert len(chat.own) == 2 * BUDGET.messages


def test_tests_and_summaries_are_never_covered_or_counted(make: MakeWorld, chat: Chat) -> None:
    world = make()

    world.see(*(fire(f"t{number}", test=True) for number in range(10)))
    ticks(world, 30)

    assert len(chat.own) == 10
    assert chat.summaries == []


def test_no_rule_is_asked_about_a_summary_that_a_person_acknowledges(
    make: MakeWorld, chat: Chat, tickets: Sink
) -> None:
    world = make(send=("chat", "tickets"))
    burst(world, 10)
    ticks(world, 20)

    summary = summary_of(world)
    world.see(fire(summary.fingerprint, source=STORMS, status=EventStatus.ACKNOWLEDGED, at=None, person=True))
    ticks(world, 20)

    assert summary_of(world).receivers == ("chat",)
    assert len(tickets.things) == 10


def test_mail_gets_one_summary_after_a_minute_then_ever_less_often_and_the_end(make: MakeWorld, clock: Clock) -> None:
    mail = Mail(clock)
    world = make(send=("other",), other=mail)

    burst(world, 30)
    ticks(world, 55)
    assert [each for each in mail.subjects if "Storm" in each] == []
    for number in range(30):
        burst(world, 3, prefix=f"more{number}-")
        ticks(world, 20)
    ticks(world, 2 * WITHIN.total_seconds())

    told = [each for each in mail.subjects if "Storm" in each]
    assert [each.split()[0] for each in told] == ["open", "update", "update", "update", "close"]
    assert told[-1] == "close Storm over: 116 alerts summarised, 116 still open"


def test_an_sms_that_is_not_wanted_is_in_no_summary(make: MakeWorld, clock: Clock) -> None:
    sms = Sms(clock)
    world = make(send=("other",), other=sms)

    burst(world, 30)
    ticks(world, 120)
    assert sms.subjects == []

    burst(world, 30, Severity.CRITICAL, "bad")
    ticks(world, WITHIN.total_seconds() + 120)
    assert len([each for each in sms.subjects if "Storm" not in each]) == BUDGET.messages + 2
    assert [each.split(":")[0] for each in sms.subjects if "Storm" in each] == ["open Storm", "close Storm over"]


def test_a_chat_that_was_down_gets_its_budget_and_one_summary(make: MakeWorld, chat: Chat) -> None:
    world = make()
    chat.down = True
    burst(world, 60)
    ticks(world, 60)
    chat.down = False
    ticks(world, 120)

    assert len(chat.summaries) == 1
    assert len(chat.own) + decide.tally_of(summary_of(world)).total == 60
    assert len(chat.own) <= BUDGET.messages


def test_two_processes_on_one_store_write_one_summary_that_counts_all(
    make: MakeWorld, chat: Chat, clock: Clock
) -> None:
    world = make()
    second = World(world.store, world.destinations, world.book, clock)

    for number in range(10):
        burst(world, 12, prefix=f"p{number}-")
        world.drain_once()
        second.drain_once()
        ticks(second, 5)
    ticks(world, 30)

    assert len(chat.summaries) == 1
    assert decide.tally_of(summary_of(world)).total + len(chat.own) == 120


def test_an_opening_that_may_have_arrived_is_looked_for_and_not_summarised(make: MakeWorld, chat: Chat) -> None:
    world = make()
    chat.after = True
    chat.failures.append(DeliveryError(Reason.TIMEOUT))
    world.see(fire("first", Severity.INFO))
    tick(world)
    chat.after = False

    burst(world, 20)
    ticks(world, 60)

    assert chat.own.count("first") == 1
    assert states(world, "first") == [("open", "delivered")]


WRITES = frozenset({"store.commit", "store.settle", "store.add", "store.intend", "deliver.open"})


def lived(world: World, clock: Clock) -> list[str]:
    """Have nine alerts come and go; return their names when the storm is over."""
    names = burst(world, 9)
    ticks(world, 15)
    world.see(*(over(name, clock) for name in names))
    ticks(world, WITHIN.total_seconds() + 150, step=30)
    return names


@pytest.mark.parametrize("by", [Died, StoreError])
def test_a_process_that_is_killed_or_fails_anywhere_loses_and_repeats_nothing(
    make: MakeWorld, crash_stride: int, clock: Clock, chat: Chat, by: type[BaseException]
) -> None:
    rehearsal = Death()
    lived(make(death=rehearsal), clock)
    writes = [at for at, name in enumerate(rehearsal.calls, start=1) if name in WRITES]

    for number, at in enumerate(writes[:: 1 + crash_stride // 2]):
        chat.things.clear()
        chat.told.clear()
        death = Death(at, after=number % 2 == 1, by=by)
        if by is StoreError and rehearsal.calls[at - 1] == "deliver.open":
            continue
        world = make(death=death)

        names = lived(world, clock)

        total = decide.tally_of(summary_of(world)).total
        covered = [name for name in names if ("open", "summarised") in states(world, name)]
        assert (len(chat.summaries), len(covered)) == (1, total), (death.at, death.after)
        assert chat.summaries[0].title == f"Storm over: {total} alerts summarised, 0 still open", (at, death.after)
        assert len(chat.own) + total == 9
        assert len(chat.own) <= BUDGET.messages
        assert world.store.waiting() == 0

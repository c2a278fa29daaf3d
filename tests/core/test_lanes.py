"""One lane under any order of what may happen to it: the head is due, order holds, nothing owed gets lost."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from service_event_checker.core import lanes
from service_event_checker.core.lanes import Lane, LaneChange
from service_event_checker.core.model import Delivery
from service_event_checker.core.store import Again, Failed, Outcome, Settled
from service_event_checker.core.vocabulary import Status, Verb, Why
from tests.factories import NOW, alert, delivery

ALERT = alert()
LEASE = timedelta(seconds=30)
WITHIN = (Verb.UPDATE, Verb.NOTE, Verb.ACK, Verb.UNACK)
EMPTY = Lane(key=ALERT.key, receiver="slack")


@dataclass
class Store:
    """What a store does with the rules' answers, and no more."""

    lane: Lane = EMPTY
    rows: dict[str, Delivery] = field(default_factory=dict)
    dead: dict[str, Delivery] = field(default_factory=dict)

    @property
    def waiting(self) -> list[Delivery]:
        return list(self.rows.values())

    def take(self, change: LaneChange) -> None:
        self.lane = change.lane
        for id in change.drop:
            self.rows.pop(id)
        self.rows |= {row.id: row for row in change.put}
        if change.dead:
            self.rows.pop(change.dead.id)
            self.dead[change.dead.id] = change.dead


def owed(verb: Verb, revision: int, episode: int = 1, **changes: object) -> Delivery:
    return delivery(
        replace(ALERT, episode=episode, revision=revision), verb, **{"due_at": None, "revision": revision, **changes}
    )


class LaneMachine(RuleBasedStateMachine):
    """Plays the tracker, the outbox and a person at the dead letters; keeps its own book of what is owed."""

    def __init__(self) -> None:
        super().__init__()
        self.store = Store()
        self.now: datetime = NOW
        self.episode = 0
        self.revision = 0
        self.open = False
        self.owed: list[Delivery] = []  # in the order in which it must be paid
        self.paid: list[Delivery] = []
        self.gone: dict[str, str] = {}  # id -> the rule that took it away

    def _append(self, *new: Delivery) -> None:
        before = self.store.waiting
        self.store.take(lanes.append(self.store.lane, before, new, self.now))
        for each in new:
            self._book(each)

    def _book(self, new: Delivery) -> None:
        dead = [letter.episode for letter in self.store.dead.values() if letter.verb is Verb.OPEN]
        if new.episode in dead:
            self.gone[new.id] = "its open is dead"
            return
        same = [other for other in self.owed if other.episode == new.episode]
        unsent = [other for other in same if other.verb is Verb.OPEN and self._before(other).intent_at is None]
        if new.verb is Verb.CLOSE and new.cancels and unsent:
            self._forget(same, "over before it was sent")
            self.gone[new.id] = "over before it was sent"
            return
        if new.verb is Verb.UPDATE:
            self._forget([o for o in same if o.verb is Verb.UPDATE and not self._leased(o)], "a newer update")
        updates = [o for o in same if o.verb is Verb.UPDATE] if new.verb is not Verb.UPDATE else []
        held = [o for o in updates if (new.by_person and not self._leased(o)) or self._is_held(o)]
        self._forget(held, "lets others pass")
        behind = [replace(each, revision=new.revision, seq=lanes.LAST) for each in held]
        self.owed = lanes.in_order([*self.owed, new, *(behind if new.verb is not Verb.CLOSE else ())])

    def _is_held(self, update: Delivery) -> bool:
        due_at = self._before(update).due_at
        return due_at is not None and due_at > self.now and not self._leased(update)

    def _let_pass(self, update: Delivery) -> None:
        """An update that has to be tried again falls away before an end or a newer one, and lets all else pass."""
        (first,) = [other for other in self.owed if other.id == update.id]
        later = [other for other in self.owed if other.episode == update.episode and other is not first]
        if any(other.verb in (Verb.CLOSE, Verb.UPDATE) for other in later):
            self._forget([first], "which say it all")
        elif later:
            self._forget([first], "goes behind")
            moved = replace(first, revision=later[-1].revision, seq=lanes.LAST)
            self.owed = lanes.in_order([*self.owed, moved])

    def _end_first(self, stuck: Delivery) -> None:
        """The end of its episode goes before what does not get through."""
        ends = [other for other in self.owed if other.verb is Verb.CLOSE and other.episode == stuck.episode]
        self._forget(ends, "goes before")
        moved = [replace(each, revision=stuck.revision, seq=stuck.seq - 1) for each in ends]
        self.owed = lanes.in_order([*self.owed, *moved])

    def _forget(self, those: list[Delivery], why: str) -> None:
        self.gone |= {each.id: why for each in those}
        self.owed = [other for other in self.owed if other not in those]

    def _before(self, owed: Delivery) -> Delivery:
        return self.seen.get(owed.id, owed)

    def _leased(self, owed: Delivery) -> bool:
        until = self._before(owed).lease_until
        return until is not None and until > self.now

    def _look(self) -> None:
        """Remember the rows as they are before a change."""
        self.seen = dict(self.store.rows)

    @rule(cancels=st.booleans())
    @precondition(lambda self: not self.open)
    def opens(self, cancels: bool) -> None:
        self._look()
        self.episode, self.revision, self.open = self.episode + 1, self.revision + 1, True
        self.cancels = cancels
        self._append(owed(Verb.OPEN, self.revision, self.episode, cancels=cancels))

    @rule(verbs=st.lists(st.sampled_from(WITHIN), min_size=1, max_size=3, unique=True))
    @precondition(lambda self: self.open)
    def changes(self, verbs: list[Verb]) -> None:
        self._look()
        self.revision += 1
        new = [owed(verb, self.revision, self.episode, seq=seq) for seq, verb in enumerate(verbs)]
        self._append(*new)

    @rule()
    @precondition(lambda self: self.open)
    def closes(self) -> None:
        self._look()
        self.revision, self.open = self.revision + 1, False
        self._append(owed(Verb.CLOSE, self.revision, self.episode, cancels=self.cancels))

    @rule(intends=st.booleans())
    @precondition(lambda self: self.due())
    def is_claimed(self, intends: bool) -> None:
        head = self.due()[0]
        intent_at = self.now if intends else head.intent_at
        claimed = replace(head, owner="w", lease_until=self.now + LEASE, intent_at=intent_at)
        self.store.rows[head.id] = claimed

    @rule(
        outcome=st.sampled_from(
            [
                Settled(),
                Again(due_at=NOW + LEASE, reason="timeout", intent_at=NOW),
                Again(due_at=NOW, reason="x"),
                Again(due_at=NOW + LEASE, reason="500", yields=True),
                Failed(reason="refused"),
            ]
        )
    )
    @precondition(lambda self: self.held())
    def is_settled(self, outcome: Outcome) -> None:
        held = self.held()[0]
        self.store.take(lanes.settle(self.store.lane, self.store.waiting, held, outcome, self.now))
        if isinstance(outcome, Again):
            if held.verb is Verb.UPDATE:
                self._let_pass(held)
            if outcome.yields and held.verb not in (Verb.OPEN, Verb.CLOSE):
                self._end_first(held)
            return
        (first,) = [other for other in self.owed if other.id == held.id]
        assert all(other.id != held.id for other in self.owed if other is not first)
        if isinstance(outcome, Settled):
            self.paid.append(held)
            self._forget([first], "paid")
        else:
            self._forget([first], "dead")
            if held.verb is Verb.OPEN:
                self._forget([o for o in self.owed if o.episode == held.episode], "its open is dead")

    @rule(data=st.data())
    @precondition(lambda self: self.store.dead)
    def is_requeued(self, data: st.DataObject) -> None:
        letter = self.store.dead[data.draw(st.sampled_from(sorted(self.store.dead)))]
        status = Status.FIRING if self.open else Status.RESOLVED
        again = lanes.requeued(letter, replace(ALERT, episode=self.episode, status=status))
        if not again or any(each.id in self.store.rows for each in again):
            return
        del self.store.dead[letter.id]
        self.store.take(lanes.revive(self.store.lane, self.store.waiting, again, self.now))
        self.owed = lanes.in_order([*again, *self.owed])
        for each in again:
            self.gone.pop(each.id, None)

    @rule()
    def time_passes(self) -> None:
        self.now += LEASE

    def due(self) -> list[Delivery]:
        return [
            row
            for row in self.store.waiting
            if row.due_at is not None
            and row.due_at <= self.now
            and not (row.lease_until and row.lease_until > self.now)
        ]

    def held(self) -> list[Delivery]:
        return [row for row in self.store.waiting if row.owner]

    @invariant()
    def exactly_the_first_that_waits_is_due(self) -> None:
        queue = lanes.in_order(self.store.waiting)
        assert [row.id for row in queue if row.due_at is not None] == [row.id for row in queue[:1]]
        assert self.store.lane.head == (queue[0].id if queue else "")

    @invariant()
    def all_that_is_owed_waits_in_its_order_and_nothing_else_does(self) -> None:
        assert [row.id for row in lanes.in_order(self.store.waiting)] == [row.id for row in self.owed]

    @invariant()
    def what_was_sent_was_opened_before(self) -> None:
        for number, row in enumerate(self.paid):
            if row.verb is not Verb.OPEN:
                assert any(other.verb is Verb.OPEN and other.episode == row.episode for other in self.paid[:number])

    @invariant()
    def episodes_are_sent_one_after_the_other(self) -> None:
        sent = [row.episode for row in self.paid]
        assert sent == sorted(sent)


TestAnyOrderOfEvents = LaneMachine.TestCase
TestAnyOrderOfEvents.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)


def test_a_settled_head_makes_the_next_one_due_now() -> None:
    head, note = owed(Verb.OPEN, 1, due_at=NOW), owed(Verb.NOTE, 2)

    change = lanes.settle(EMPTY, [note, head], head, Settled(), NOW + LEASE)

    assert (change.drop, change.put) == ((head.id,), (replace(note, due_at=NOW + LEASE),))
    assert change.lane.revision == 1


def test_a_delivery_that_is_tried_again_keeps_its_place_and_loses_its_lease() -> None:
    head = owed(Verb.OPEN, 1, due_at=NOW, owner="w", lease_until=NOW + LEASE, intent_at=NOW)
    again = Again(due_at=NOW + LEASE, reason="timeout", intent_at=NOW)

    change = lanes.settle(EMPTY, [head, owed(Verb.NOTE, 2)], head, again, NOW)

    (row,) = change.put
    assert (row.due_at, row.owner, row.lease_until, row.attempts) == (NOW + LEASE, "", None, 1)
    assert (row.intent_at, row.reason) == (NOW, "timeout")


def test_a_newer_update_waits_as_long_as_the_one_it_replaces() -> None:
    late = owed(Verb.UPDATE, 2, due_at=NOW + LEASE, attempts=4, reason="timeout")

    change = lanes.append(EMPTY, [late], [owed(Verb.UPDATE, 3)], NOW)

    assert change.drop == (late.id,)
    assert [(row.revision, row.due_at, row.attempts) for row in change.put] == [(3, NOW + LEASE, 4)]


def test_an_update_that_is_being_sent_is_not_replaced() -> None:
    busy = owed(Verb.UPDATE, 2, due_at=NOW, owner="w", lease_until=NOW + LEASE)

    change = lanes.append(EMPTY, [busy], [owed(Verb.UPDATE, 3)], NOW)

    assert change.drop == ()
    assert [row.due_at for row in change.put] == [None]


def test_a_close_takes_away_an_open_that_was_not_begun() -> None:
    rows = [owed(Verb.OPEN, 1, due_at=NOW), owed(Verb.NOTE, 2)]

    change = lanes.append(EMPTY, rows, [owed(Verb.CLOSE, 3, cancels=True)], NOW)

    assert (change.cancelled, change.put, set(change.drop)) == (1, (), {row.id for row in rows})
    assert change.lane.head == ""


def test_a_letter_that_is_sent_again_goes_ahead_of_what_waits_and_alone_is_due() -> None:
    letter = owed(Verb.NOTE, 2, attempts=9, reason="refused")
    head, close = owed(Verb.NOTE, 3, due_at=NOW + LEASE), owed(Verb.CLOSE, 4)

    change = lanes.revive(replace(EMPTY, dead_episode=1), [head, close], [letter], NOW)

    assert {(row.revision, row.due_at) for row in change.put} == {(2, NOW), (3, None)}
    assert (change.lane.head, change.lane.dead_episode) == (letter.id, 0)
    assert all((row.attempts, row.reason) == (0, "") for row in change.put)


def test_what_sending_a_letter_again_means_depends_on_the_alert_of_now() -> None:
    over = replace(ALERT, status=Status.RESOLVED)
    letter, cancelling = owed(Verb.OPEN, 1), owed(Verb.OPEN, 1, cancels=True)

    assert lanes.requeued(letter, ALERT) == (letter,)
    assert [row.verb for row in lanes.requeued(letter, over)] == [Verb.OPEN, Verb.CLOSE]
    assert lanes.requeued(cancelling, over) == ()
    assert lanes.requeued(cancelling, ALERT) == (cancelling,)
    assert lanes.requeued(owed(Verb.NOTE, 2), over) == (owed(Verb.NOTE, 2),)
    assert lanes.requeued(letter, replace(ALERT, episode=2)) == ()


def test_a_dead_open_is_kept_as_a_letter_without_a_lease() -> None:
    head = owed(Verb.OPEN, 1, due_at=NOW, owner="w", lease_until=NOW + LEASE)

    change = lanes.settle(EMPTY, [head, owed(Verb.NOTE, 2)], head, Failed(reason="refused"), NOW)

    assert change.dead == replace(head, due_at=None, owner="", lease_until=None, reason="refused")
    assert (change.lane.dead_episode, change.drop) == (1, (owed(Verb.NOTE, 2).id,))


def test_an_open_that_its_close_has_overtaken_is_told_in_the_timeline() -> None:
    row = lanes.over_before_sent(ALERT, "pager", NOW)

    assert (row.why, row.receiver, row.at, row.verbs) == (Why.OVER_BEFORE_SENT, "pager", NOW, ())


class TestAnUpdateThatFails:
    """It says the state of now, so whatever came later in its episode need not wait behind it."""

    AGAIN = Again(due_at=NOW + LEASE, reason="timeout")

    def test_it_lets_a_note_pass(self) -> None:
        update = owed(Verb.UPDATE, 1, due_at=NOW)
        note = owed(Verb.NOTE, 2)

        change = lanes.settle(EMPTY, [update, note], update, self.AGAIN, NOW)

        assert change.lane.head == note.id
        assert change.drop == (update.id,)
        assert {(put.verb, put.due_at) for put in change.put} == {(Verb.NOTE, NOW), (Verb.UPDATE, None)}

    def test_it_falls_away_before_an_end(self) -> None:
        update = owed(Verb.UPDATE, 1, due_at=NOW)
        close = owed(Verb.CLOSE, 2)

        change = lanes.settle(EMPTY, [update, close], update, self.AGAIN, NOW)

        assert (change.lane.head, change.drop) == (close.id, (update.id,))

    def test_alone_it_waits_for_its_time(self) -> None:
        update = owed(Verb.UPDATE, 1, due_at=NOW)

        change = lanes.settle(EMPTY, [update], update, self.AGAIN, NOW)

        assert [(put.id, put.due_at) for put in change.put] == [(update.id, NOW + LEASE)]

    def test_a_held_one_lets_a_note_pass_and_falls_away_before_an_end(self) -> None:
        held = owed(Verb.UPDATE, 1, due_at=NOW + LEASE)

        passed = lanes.append(EMPTY, [held], [owed(Verb.NOTE, 2)], NOW)
        ended = lanes.append(EMPTY, [held], [owed(Verb.CLOSE, 2)], NOW)

        assert passed.lane.head == owed(Verb.NOTE, 2).id
        assert [put.verb for put in ended.put] == [Verb.CLOSE]

    def test_one_that_is_due_is_passed_by_what_a_person_did(self) -> None:
        waiting = owed(Verb.UPDATE, 1, due_at=NOW)
        by_person = [owed(Verb.ACK, 2), owed(Verb.UNACK, 2), owed(Verb.NOTE, 2, actor="ada")]

        for act in by_person:
            change = lanes.append(EMPTY, [waiting], [act], NOW)
            assert change.lane.head == act.id
            assert {(put.verb, put.due_at) for put in change.put} == {(act.verb, NOW), (Verb.UPDATE, None)}
        assert lanes.append(EMPTY, [waiting], [owed(Verb.CLOSE, 2, actor="ada")], NOW).drop == (waiting.id,)
        assert lanes.append(EMPTY, [waiting], [owed(Verb.NOTE, 2)], NOW).lane.head == waiting.id

    def test_one_that_is_being_sent_is_not_passed(self) -> None:
        sending = owed(Verb.UPDATE, 1, due_at=NOW, owner="w1", lease_until=NOW + LEASE)

        assert lanes.append(EMPTY, [sending], [owed(Verb.ACK, 2)], NOW).lane.head == sending.id

    def test_an_end_is_owed_once(self) -> None:
        change = lanes.append(EMPTY, [owed(Verb.CLOSE, 1, due_at=NOW)], [owed(Verb.CLOSE, 2)], NOW)

        assert change.put == ()


def test_the_end_overtakes_a_note_that_does_not_get_through() -> None:
    note, later, close = owed(Verb.NOTE, 2, due_at=NOW), owed(Verb.NOTE, 3), owed(Verb.CLOSE, 4)
    again = Again(due_at=NOW + LEASE, reason="HTTP 500", yields=True)

    change = lanes.settle(EMPTY, [note, later, close], note, again, NOW)

    queue = lanes.in_order(change.put)
    assert [(row.verb, row.due_at) for row in queue] == [(Verb.CLOSE, NOW), (Verb.NOTE, None)]
    assert change.drop == (close.id,)


def test_nothing_overtakes_an_open_that_does_not_get_through() -> None:
    head, close = owed(Verb.OPEN, 1, due_at=NOW), owed(Verb.CLOSE, 2)
    again = Again(due_at=NOW + LEASE, reason="HTTP 500", yields=True)

    change = lanes.settle(EMPTY, [head, close], head, again, NOW)

    assert change.lane.head == head.id

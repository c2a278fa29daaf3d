"""Delivers: claims a delivery, sends it, settles it. The only place that retries.

A create is preceded by a durable intent and a search; after an answer that proves nothing, by the destination's
settle time as well. Waiting is a `due_at` in the store, never a sleeping thread.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from service_event_checker.core import announcements, failover, mirrors, routing
from service_event_checker.core.errors import DeliveryError, LeaseLost, Reason, StoreConflict, StoreError
from service_event_checker.core.ids import remote_key
from service_event_checker.core.model import Alert, Delivery, Link, ObjectRef, Receiver
from service_event_checker.core.ports import (
    Destination,
    DryRunnable,
    Findable,
    FindableByAlert,
    Inbound,
    MessageDestination,
    ObjectDestination,
    Pausable,
    Reconcilable,
    Selective,
)
from service_event_checker.core.roles import Store
from service_event_checker.core.rules import Rulebook
from service_event_checker.core.store import Again, Claimed, Failed, Outcome, Settled, Write
from service_event_checker.core.vocabulary import Family, Status, Verb, Why
from service_event_checker.engine import objects, plainer, storms
from service_event_checker.engine.outcomes import DryRun, Skipped, Summarised, ToldElsewhere, outcome_step
from service_event_checker.engine.pipeline import Wake, tell
from service_event_checker.engine.storms import Storms
from service_event_checker.engine.throttle import Throttle
from service_event_checker.http import budget
from service_event_checker.logs import alert_facts
from service_event_checker.metrics import DELIVERIES, DELIVERY_SECONDS, FAILURES, PING_PONGS, SUMMARISED
from service_event_checker.render import voice

CLAIMED_AT_ONCE = 1  # a longer claim would hold the others back for as long after a kill -9
CALLS_PER_DELIVERY = 6  # a search, a create and what an adapter looks up on the way
CALLS_AT_THEIR_SLOWEST = (
    3  # of what an adapter may ask for one verb; with the searches before it stays within the lease
)
GIVE_UP_AFTER = timedelta(hours=24)
FAILED_FOR_AGE = "not delivered within"  # start of the reason of a delivery that failed only because of its age
FAILED_FOR_AGE_BEFORE = "given up after"  # the same in rows of earlier versions
TRIES_AT_LEAST = 10  # also of what is a day old at its first: we were stopped, or it was sent again by hand
BACK_OFF_FIRST = 1.0  # seconds
BACK_OFF_SOON = 15.0  # the longest wait of a young delivery; later a tenth of its age
BACK_OFF_MAX = 300.0
RETRY_AFTER_MAX = 900.0  # seconds; a longer pause that a destination asks for is asked again
DOUBLINGS_MAX = 16  # of a back-off; 2.0 ** 1024 is an error
CONFLICTS_MAX = 20
GONE = "what was made there is gone"
WAITS = "others go first"
OWN_AT_ONCE = 3  # messages of their own that one claim sends in a storm
WAIT_SECONDS = 2.0  # at least, before it is tried again whether a message may be sent
_WRITES = {Verb.ACK: Status.ACKNOWLEDGED, Verb.UNACK: Status.FIRING, Verb.CLOSE: Status.RESOLVED}

_SPECIAL: Mapping[type, str] = {DryRun: "dry_run", ToldElsewhere: "told_elsewhere"}

log = structlog.get_logger()


class Outbox:
    """Delivers for the receivers in `destinations`. `clock` gives aware UTC; safe to call from several threads."""

    def __init__(
        self,
        store: Store,
        destinations: Mapping[str, Destination],
        book: Rulebook,
        *,
        throttles: Mapping[str, Throttle],
        clock: Callable[[], datetime],
        jitter: Callable[[], float] = random.random,
        wake: Wake = lambda _receivers: None,
        suspects: plainer.Suspects | None = None,
        page: str = "",
    ) -> None:
        self.store = store
        self.destinations = destinations
        self.book = book
        self.throttles = throttles
        self._clock = clock
        self._jitter = jitter
        self._wake = wake
        self.storms = Storms(store, destinations, book, page)
        self.suspects = suspects or plainer.Suspects()  # outlives a reload of the configuration

    @property
    def longest_wait(self) -> timedelta:
        """How far ahead of now a delivery's next try, or its lease, may be; what is later tells of a wrong clock."""
        known = self.book.receivers.values()
        leases = (each.deadline * CALLS_PER_DELIVERY * CLAIMED_AT_ONCE for each in known)
        waits = (max(each.settle, each.update_every) for each in known)
        return max(timedelta(seconds=RETRY_AFTER_MAX), *leases, *waits) + timedelta(minutes=1)

    def drain(self, receiver: str) -> int:
        """Claim and send what is due for one receiver, as much as its throttle allows; return how many were tried."""
        throttle, now = self.throttles[receiver], self._clock()
        if self.storms.is_on(receiver):
            return self._drain_storm(receiver, throttle, now)
        if throttle.shared and not self.store.due([receiver], now):
            return 0  # to take and give back would be two writes
        allowed = throttle.take(CLAIMED_AT_ONCE)
        return self._send_due(receiver, throttle, allowed) if allowed else 0

    def _send_due(self, receiver: str, throttle: Throttle, allowed: int) -> int:
        """Send so many deliveries as the throttle has allowed."""
        now = self._clock()
        lease = self.book.receivers[receiver].deadline * CALLS_PER_DELIVERY * allowed
        claimed = self.store.claim(receiver, limit=allowed, owner=uuid.uuid4().hex, now=now, until=now + lease)
        others = self._summarise(receiver, claimed, now)
        throttle.give_back(allowed - len(others))
        for one in others:
            self._process(one)
        return len(claimed)

    def _drain_storm(self, receiver: str, throttle: Throttle, now: datetime) -> int:
        """Have the summary cover what it may, which asks nothing of the destination; send a few of the others.

        The rest of these waits for its turn, as its throttle lets it.
        """
        owner = uuid.uuid4().hex
        claimed = self.store.claim(receiver, limit=storms.AT_ONCE, owner=owner, now=now, until=now + storms.LEASE)
        others = self._summarise(receiver, claimed, now)
        allowed = throttle.take(min(OWN_AT_ONCE, len(others))) if others else 0
        for place, one in enumerate(others):
            seconds = max(WAIT_SECONDS, place / throttle.rate) if place >= allowed else 0.0
            due_at = self._clock() + timedelta(seconds=seconds)
            self.record(one, Again(due_at=due_at, reason=WAITS, intent_at=one.delivery.intent_at, tried=False))
        for _ in range(allowed):  # by a claim of its own, which lasts as long as a delivery may
            self._send_due(receiver, throttle, CLAIMED_AT_ONCE)
        return len(claimed)

    def _summarise(self, receiver: str, claimed: Sequence[Claimed], now: datetime) -> list[Claimed]:
        """Settle what the summary of a storm is to cover; return the others."""
        chosen = self.storms.chosen(receiver, claimed, now)
        outcomes = self.storms.cover(receiver, [covered for _, covered in chosen], now)
        for (one, covered), outcome in zip(chosen, outcomes, strict=True):
            if self.record(one, outcome):
                self.storms.settled(receiver, covered)
        done = {one.delivery.id for one, _ in chosen}
        return [one for one in claimed if one.delivery.id not in done]

    def _process(self, claimed: Claimed) -> None:
        delivery = claimed.delivery
        try:
            outcome = self._attempt(claimed)
        except LeaseLost:
            log.warning("lease_lost", **_facts(claimed))
            return
        except DeliveryError as error:
            outcome = self._after_failure(claimed, error)
        except StoreError:
            raise
        except Exception:  # noqa: BLE001  # an adapter's bug must not stop the others' deliveries
            log.exception("delivery_crashed", **_facts(claimed))
            crash = _Ambiguous(DeliveryError(Reason.CRASHED), self._clock())  # it may have come after the effect
            outcome = self._after_failure(claimed, crash)
        else:
            if type(outcome) is Settled:  # nothing else proves that the destination works
                self.throttles[delivery.receiver].record_success()
                outcome = self._taken(delivery, outcome)
        try:
            self.record(claimed, outcome)
        except StoreError:
            raise
        except Exception:  # noqa: BLE001  # a text that no store can hold must not be tried for ever
            log.exception("outcome_not_stored", **_facts(claimed))
            self.record(claimed, Failed(reason="what came of it cannot be stored"))

    def _attempt(self, claimed: Claimed) -> Outcome:
        claimed = self._with_what_is_shown(claimed)
        delivery, alert = claimed.delivery, claimed.alert
        receiver = self.book.receivers[delivery.receiver]
        if delivery.reason == mirrors.PING_PONG:
            return Failed(reason=mirrors.PING_PONG)
        if receiver.shadow or (alert.test and receiver.family is not Family.CHAT):
            with voice.speaking(receiver.name):
                return _dry_run(self.destinations[delivery.receiver], delivery, alert)
        link = routing.link_for(delivery, alert, claimed.links, receiver)
        made = link is not None and bool(link.external_id)
        destination = self.destinations[delivery.receiver]
        if isinstance(destination, Pausable):
            destination.raise_if_paused()
        began = self._clock()
        if delivery.verb is Verb.UPDATE and link and link.updated_at:
            until = link.updated_at + receiver.update_every
            if link.updated_at <= self._clock() < until:
                return Again(due_at=until, reason="an update was sent a moment ago")
        goes_on = alert.open or receiver.name in alert.recent.held  # there is more to tell of the object
        if not made and not goes_on and self._was_told_by_fallback(delivery, receiver, destination):
            return ToldElsewhere(remark=f"delivered by fallback {receiver.fallback}")
        if not receiver.findable:
            return self._send_unfindable(claimed, link, receiver)
        if not made and (delivery.verb is Verb.OPEN or receiver.family is Family.CHAT):
            return self._create(claimed, link, receiver, destination)
        if not made:
            found = _find(destination, remote_key(delivery.key, delivery.episode))
            if found is None and alert.open and delivery.verb is not Verb.CLOSE:
                return self._create(claimed, link, receiver, destination)  # opened while the receiver was in shadow
            if found is None and (delivery.carried or self._was_dry_run(delivery)):
                return Skipped(why="nothing was opened there: the opening failed, or was a dry run")
            if found is None:
                raise DeliveryError(Reason.NOT_FOUND, "nothing was created there that could be changed", permanent=True)
            link = objects.link_to(found, delivery, link.previous if link else "")
        current = self._unless_stale(delivery, alert, receiver)
        if current is None:
            return Skipped(why="it was changed there since, by a person")
        try:
            changed = self._deliver(current, alert, link)
        except DeliveryError as error:
            if error.reason.ambiguous and _makes_something(delivery, receiver):
                raise _Ambiguous(error, self._clock()) from error
            if error.reason is not Reason.NOT_FOUND or link is None:
                raise
            if link.closed:  # it was deleted there, as we were told: nobody reads it any more
                return Skipped(why=f"{GONE}, and it was over there")
            if not made or not isinstance(destination, MessageDestination):
                raise
            return self._post_anew(claimed, link, receiver, destination)
        return Settled(link=self._changed(claimed, changed, current.verb, began))

    def _with_what_is_shown(self, claimed: Claimed) -> Claimed:
        """Return the delivery with the alert that its object shows: it may have gone over to a later episode."""
        delivery = claimed.delivery
        if delivery.receiver not in claimed.alert.recent.held:
            return claimed
        head = self.store.get([delivery.key]).get(delivery.key)
        carried = head is not None and head.open and delivery.receiver in head.recent.carried
        return replace(claimed, alert=head) if head is not None and carried else claimed

    def _deliver(self, delivery: Delivery, alert: Alert, link: Link | None) -> Link | None:
        destination, receiver = self.destinations[delivery.receiver], self.book.receivers[delivery.receiver]
        sent, shown = plainer.plainer(delivery, alert, self.suspects.form(delivery, self._clock()))
        try:
            seconds = receiver.deadline.total_seconds() * CALLS_AT_THEIR_SLOWEST
            with budget.limit(seconds), voice.speaking(receiver.name):
                if isinstance(destination, ObjectDestination):
                    return objects.deliver(destination, sent, shown, link, receiver.on_resolve)
                if isinstance(destination, MessageDestination):
                    return destination.deliver(sent, shown, link) or link
        except DeliveryError as error:
            if error.reason is Reason.SERVER_ERROR:
                self.suspects.add(delivery, self._clock())
            raise
        raise DeliveryError(Reason.NOT_CONFIGURED, "takes neither messages nor objects", permanent=True)

    def _post_anew(self, claimed: Claimed, link: Link, receiver: Receiver, destination: Destination) -> Outcome:
        """Post another message in place of one that was deleted: people must hear how it goes on, and that it ends."""
        key = remote_key(claimed.delivery.key, claimed.delivery.episode)
        missing = replace(link, external_id="", url="", remote_key=key, previous="")
        outcome = self._create(claimed, missing, receiver, destination)
        if not isinstance(outcome, Settled):
            return outcome
        return replace(outcome, remark=f"{claimed.delivery.verb}: {GONE}, so a new message was posted")

    def _taken(self, delivery: Delivery, outcome: Settled) -> Settled:
        """Return the outcome of a delivery that was taken, with a remark if only in a plainer form."""
        form = self.suspects.form(delivery, self._clock())
        self.suspects.works(delivery)
        said = f"{delivery.verb}: {plainer.remark(form)}" if form else ""
        return replace(outcome, remark="; ".join(filter(None, (outcome.remark, said))))

    def _was_dry_run(self, delivery: Delivery) -> bool:
        """Whether the episode was opened while its receiver was in shadow: then there is nothing to end."""
        steps = self.store.outcomes(delivery.key, delivery.episode)
        return any(step.why is Why.DRY_RUN and step.receiver == delivery.receiver for step in steps)

    def _was_told_by_fallback(self, delivery: Delivery, receiver: Receiver, destination: Destination) -> bool:
        """Whether people who read this receiver were told by its fallback, and nothing of it is there; the digest is.

        Raises DeliveryError while an earlier try that may have arrived cannot be looked for.
        """
        if not receiver.fallback or not failover.has_digest(receiver.name, self.book):
            return False
        steps = [
            *self.store.timeline(delivery.key),
            *self.store.outcomes(delivery.key, delivery.episode),
        ]
        if not failover.delivered_by(receiver.fallback, steps, delivery.episode):
            return False
        return delivery.intent_at is None or not _find(destination, remote_key(delivery.key, delivery.episode))

    def _changed(self, claimed: Claimed, link: Link | None, verb: Verb, began: datetime) -> Link | None:
        """Return the link to store after a change, None where nothing of it is new.

        What came back from there while we wrote (it was closed) is kept.
        """
        name = claimed.delivery.receiver
        stamped = _stamped(link, verb, self.book.receivers[name], self.destinations[name], began)
        if stamped is None or stamped in claimed.links:
            return None
        before = next((each for each in claimed.links if each.episode == stamped.episode), None)
        newest = self.store.link_by(name, stamped.external_id) if before else None
        if before is None or newest is None or newest == before or newest.episode != stamped.episode:
            return stamped
        closed = newest.closed if stamped.closed == before.closed else stamped.closed
        return replace(newest, sent={**newest.sent, **stamped.sent}, updated_at=stamped.updated_at, closed=closed)

    def _unless_stale(self, delivery: Delivery, alert: Alert, receiver: Receiver) -> Delivery | None:
        """Return what a pager is to be sent, None if nothing any more; elsewhere a status is a comment."""
        if receiver.family is not Family.PAGER or delivery.verb not in (Verb.ACK, Verb.UNACK):
            return delivery
        timeline = self.store.timeline(alert.key) if alert.status is not _WRITES[delivery.verb] else []
        return mirrors.drop_stale_status(delivery, alert, timeline, self.book.mirrors)

    def _create(self, claimed: Claimed, link: Link | None, receiver: Receiver, destination: Destination) -> Outcome:
        """Make the object unless it is there; never before an earlier try can no longer surprise us."""
        now = self._clock()
        delivery = claimed.delivery
        doubt_at = min(delivery.intent_at, now) if delivery.intent_at else None  # the clock may have been set back
        if doubt_at is not None and now < doubt_at + receiver.settle:
            until = doubt_at + receiver.settle
            return Again(due_at=until, reason="waits for an earlier try to show", intent_at=doubt_at)
        delivery = self.store.intend(delivery, now)
        found = _find(destination, remote_key(delivery.key, delivery.episode))
        if found is None and delivery.episode == 1 and not claimed.links and isinstance(destination, FindableByAlert):
            found = destination.find_open_for(delivery.key)  # ours, from before our data were lost
        if found is not None:
            link = objects.link_to(found, delivery, link.previous if link else "")
            if delivery.verb is not Verb.OPEN:
                return Settled(link=self._deliver(delivery, claimed.alert, link))
            if not _is_over(destination, receiver, found.external_id):
                return Settled(link=link)
        lease_until = delivery.lease_until
        if lease_until is None or self._clock() + receiver.deadline > lease_until:
            return Again(due_at=self._clock(), reason="the lease was too short for a create")
        opening = replace(delivery, verb=Verb.OPEN)
        try:
            return Settled(link=self._deliver(opening, claimed.alert, link))
        except DeliveryError as error:
            if error.reason.ambiguous:
                raise _Ambiguous(error, self._clock()) from error
            raise

    def _send_unfindable(self, claimed: Claimed, link: Link | None, receiver: Receiver) -> Outcome:
        """Send where delivery cannot be verified. After an unclear result, resend only for configured severities."""
        delivery = claimed.delivery
        destination = self.destinations[delivery.receiver]
        if isinstance(destination, Selective) and (why := destination.declines(delivery, claimed.alert, link)):
            return Skipped(why=why)
        if delivery.intent_at is not None and claimed.alert.severity not in receiver.repeat_ambiguous:
            return Failed(reason="it may have arrived, which cannot be verified; not repeated")
        began = self._clock()
        delivery = self.store.intend(delivery, began)
        try:
            made = self._deliver(delivery, claimed.alert, link)
            return Settled(link=_stamped(made, delivery.verb, receiver, destination, began))
        except DeliveryError as error:
            if error.reason.ambiguous:
                raise _Ambiguous(error, self._clock()) from error
            raise

    def _after_failure(self, claimed: Claimed, error: DeliveryError) -> Outcome:
        delivery, now = claimed.delivery, self._clock()
        self.throttles[delivery.receiver].record_failure(error)
        FAILURES.labels(delivery.receiver, error.reason.name.lower()).inc()
        reason = str(error)
        if error.permanent:
            self.suspects.forget(delivery)
            return Failed(reason=reason)
        old = delivery.created_at is not None and now - delivery.created_at > GIVE_UP_AFTER
        if old and delivery.attempts + 1 >= TRIES_AT_LEAST:
            self.suspects.forget(delivery)
            return Failed(reason=f"{FAILED_FOR_AGE} {GIVE_UP_AFTER.total_seconds() / 3600:.0f} h: {reason}")
        due_at = now + self._patience(delivery, error, now)
        yields = self.suspects.form(delivery, now) > 0
        if not isinstance(error, _Ambiguous):
            return Again(due_at=due_at, reason=reason, yields=yields)
        settle = self.book.receivers[delivery.receiver].settle
        return Again(
            due_at=max(due_at, error.intent_at + settle), reason=reason, intent_at=error.intent_at, yields=yields
        )

    def _patience(self, delivery: Delivery, error: DeliveryError, now: datetime) -> timedelta:
        """Return how long to wait: what the destination asked for, else exponential with jitter.

        A destination that is down altogether is spared by its throttle; this is about the one delivery.
        """
        if error.retry_after is not None:
            return timedelta(seconds=min(error.retry_after, RETRY_AFTER_MAX) + self._jitter())
        age = (now - delivery.created_at).total_seconds() if delivery.created_at else 0.0
        longest = min(BACK_OFF_MAX, max(BACK_OFF_SOON, age / 10))
        seconds = min(longest, BACK_OFF_FIRST * 2.0 ** min(delivery.attempts, DOUBLINGS_MAX))
        return timedelta(seconds=seconds * (0.5 + self._jitter()))

    def record(self, claimed: Claimed, outcome: Outcome) -> bool:
        """Settle a claim; when the alert was changed meanwhile, decide anew what the outcome means for it.

        Return whether it is settled.
        """
        delivery = claimed.delivery
        for _ in range(CONFLICTS_MAX):
            write, now = self._consequence(claimed, outcome), self._clock()
            try:
                self.store.settle(delivery, outcome, now, write, outcome_step(claimed, outcome, now))
            except StoreConflict:
                continue
            except LeaseLost:
                log.warning("lease_lost", **_facts(claimed))
                return False
            self._tell(claimed, outcome, write)
            return True
        log.warning("settle_contended", **_facts(claimed))
        return False

    def _consequence(self, claimed: Claimed, outcome: Outcome) -> Write | None:
        """Return what the outcome means for the alert: a new link, others told of a failure or of a dry run.

        The outcome's own row of the timeline is `outcome_step`.
        """
        delivery = claimed.delivery
        linked = isinstance(outcome, Settled) and outcome.link is not None and delivery.verb is Verb.OPEN
        receiver = self.book.receivers.get(delivery.receiver)
        dry = isinstance(outcome, DryRun) and delivery.verb is Verb.OPEN and not (receiver and receiver.shadow)
        if not (linked or dry or isinstance(outcome, Failed)):
            return None
        head: Alert | None = self.store.get([delivery.key]).get(delivery.key)
        if head is None or head.episode != delivery.episode:
            return None
        now = self._clock()
        if isinstance(outcome, Failed):
            failed = self.store.failed_deliveries(key=head.key)
            unreached = {each.receiver for each in failed if each.verb is Verb.OPEN and each.episode == head.episode}
            return announcements.gave_up(delivery, head, outcome.reason, self.book, now, unreached=unreached)
        if isinstance(outcome, DryRun):
            return announcements.dry_run(head, delivery.receiver, outcome.text, self.book, now)
        if isinstance(outcome, Settled) and outcome.link is not None:
            return announcements.linked(head, delivery.receiver, outcome.link.url, self.book, now)
        return None

    def _tell(self, claimed: Claimed, outcome: Outcome, write: Write | None) -> None:
        delivery = claimed.delivery
        name = _SPECIAL.get(type(outcome)) or type(outcome).__name__.lower()  # settled, again, failed
        DELIVERIES.labels(delivery.receiver, delivery.verb.value, name).inc()
        if isinstance(outcome, Settled) and delivery.created_at and not claimed.alert.test:
            took = (self._clock() - delivery.created_at).total_seconds()
            DELIVERY_SECONDS.labels(delivery.receiver, delivery.verb.value).observe(max(0.0, took))
        if isinstance(outcome, Summarised):
            SUMMARISED.labels(delivery.receiver).inc()
        reason = "" if isinstance(outcome, Settled) else outcome.reason
        if reason == mirrors.PING_PONG:
            PING_PONGS.labels(delivery.receiver).inc()
        _log(claimed, outcome, reason)
        if write:
            tell(write)
        owed = write.deliveries if write else ()
        self._wake({delivery.receiver, *(each.receiver for each in owed)})  # the lane's next is due


def _log(claimed: Claimed, outcome: Outcome, reason: str) -> None:
    facts = _facts(claimed)
    match outcome:
        case DryRun():
            log.info("delivery_dry_run", **facts)
        case Summarised(note=note):
            log.info("delivery_summarised", **facts, note=note)
        case Skipped(why=why):
            log.info("delivery_skipped", **facts, reason=why)
        case Settled(link=link):
            log.info("delivered", **facts, **({"url": link.url} if link and link.url else {}))
        case Again(due_at=due_at):
            at = due_at.isoformat(timespec="seconds")
            level = log.debug if reason == WAITS else log.warning
            level("delivery_retried", **facts, reason=reason, tries=claimed.delivery.attempts + 1, next_at=at)
        case _:
            log.error("delivery_failed", **facts, reason=reason, tries=claimed.delivery.attempts + 1)


def _facts(claimed: Claimed) -> dict[str, str]:
    delivery = claimed.delivery
    return {**alert_facts(claimed.alert), "receiver": delivery.receiver, "verb": delivery.verb.value}


class _Ambiguous(DeliveryError):
    """A failure after which the effect may exist; the settle time counts from `intent_at`, the end of our wait."""

    def __init__(self, error: DeliveryError, intent_at: datetime) -> None:
        super().__init__(error.reason, error.detail, permanent=error.permanent, retry_after=error.retry_after)
        self.intent_at = intent_at


def _stamped(link: Link | None, verb: Verb, receiver: Receiver, destination: Destination, now: datetime) -> Link | None:
    """Return the link with what the next update, and an echo of this change, are judged by."""
    if link is None:
        return None
    if verb is Verb.UPDATE and receiver.update_every:
        return replace(link, updated_at=now)
    status = _WRITES.get(verb)
    if status is None or not isinstance(destination, Inbound):
        return link
    return replace(link, sent={**link.sent, status: now})


def _makes_something(delivery: Delivery, receiver: Receiver) -> bool:
    """Whether a repetition has to wait until a late effect shows.

    Where reopening is refused a new object is made, and a chat's close adds a reply.
    """
    return delivery.verb is Verb.OPEN or (delivery.verb is Verb.CLOSE and receiver.family is Family.CHAT)


def _dry_run(destination: Destination, delivery: Delivery, alert: Alert) -> DryRun:
    if isinstance(destination, DryRunnable) and delivery.verb in (Verb.OPEN, Verb.RUN):
        return DryRun(text=destination.dry_run(delivery, alert))
    said = f" ({delivery.note})" if delivery.note else ""
    return DryRun(text=f"{delivery.verb} {alert.title}{said}")


def _find(destination: Destination, key: str) -> ObjectRef | None:
    return destination.find(key) if isinstance(destination, Findable) else None


def _is_over(destination: Destination, receiver: Receiver, external_id: str) -> bool:
    """Whether a ticket that was found is closed: one from before our data were lost, to be opened again."""
    if receiver.family is not Family.TICKET or not isinstance(destination, Reconcilable):
        return False
    remote = destination.get_remote(external_id)
    return remote is not None and remote.status is Status.RESOLVED

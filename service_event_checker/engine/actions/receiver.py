"""An action as a receiver: a rule that sends to it requests a run, once per episode. It runs nothing itself."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from service_event_checker.core.actions import Policy, from_labels
from service_event_checker.core.errors import DeliveryError, InvalidInput, Reason
from service_event_checker.core.model import Alert, Delivery, Link, Receiver
from service_event_checker.core.vocabulary import Family, Severity, Verb
from service_event_checker.engine.actions.runs import NotNow, Runs

VIA = "rule"
VERBS = frozenset({Verb.RUN})
DEADLINE = timedelta(seconds=15)


@dataclass(frozen=True, slots=True)
class ActionReceiver:
    """A MessageDestination. `runs`: asked late, as it is built of the pipeline that knows this receiver."""

    policy: Policy
    runs: Callable[[], Runs]

    family = Family.ACTION
    verbs = VERBS

    def declines(self, _delivery: Delivery, alert: Alert, _link: Link | None) -> str:
        return "" if alert.open else "the alert is over"

    def deliver(self, delivery: Delivery, alert: Alert, _link: Link | None) -> Link | None:
        """Request the run of this delivery; a repetition finds it. Raises DeliveryError."""
        now = datetime.now(UTC)
        try:
            values = from_labels(self.policy, alert.labels)
            self.runs().request(alert, self.policy.name, values, by=VIA, via=VIA, now=now, id=run_id(delivery))
        except InvalidInput as error:
            raise DeliveryError(Reason.REFUSED, f"not requested: {error}", permanent=True) from None
        except NotNow as error:
            raise DeliveryError(Reason.REFUSED, error.message, permanent=True) from None
        return None

    def dry_run(self, _delivery: Delivery, alert: Alert) -> str:
        """Return what a run would do for a test alert."""
        try:
            values = self.runs().check(self.policy.name, dict(from_labels(self.policy, alert.labels)))
        except InvalidInput as error:
            return f"nothing: {error}"
        return self.runs().runners[self.policy.name].describe(values)


def receiver(policy: Policy) -> Receiver:
    """Return what the rules need to know of an action; to request a run twice is to request it once."""
    return Receiver(
        name=policy.name,
        family=Family.ACTION,
        verbs=VERBS,
        why_off=policy.why_off,
        deadline=DEADLINE,
        repeat_ambiguous=frozenset(Severity),
    )


def run_id(delivery: Delivery) -> str:
    return hashlib.sha256(f"{delivery.key}:{delivery.episode}:{delivery.receiver}".encode()).hexdigest()[:16]

"""What the rules would do with an event now, without doing it: by the deciders of live routing. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from service_event_checker.core import routing, rules, tracker
from service_event_checker.core.errors import InvalidInput
from service_event_checker.core.model import Event
from service_event_checker.core.rules import Rulebook, Step
from service_event_checker.core.silences import Holding, holding


@dataclass(frozen=True, slots=True)
class Evaluation:
    """`receivers` would be told that the alert opens; `withheld` maps a matched receiver to why it would wait.

    `silences` hold the alert back, the one that ends last first.
    """

    receivers: tuple[str, ...]
    withheld: Mapping[str, str]
    steps: tuple[Step, ...]
    silences: tuple[Holding, ...] = ()


def evaluate(event: Event, book: Rulebook, now: datetime) -> Evaluation:
    """Return what would become of a clean firing event of an alert that was never seen. Raises InvalidInput."""
    change = tracker.track(None, event, now)
    if change.alert is None:
        raise InvalidInput("status", "is not that of an alert that opens", 'Send "firing"')
    write = routing.route(change.alert, change.transitions, book, now)
    steps = tuple(rules.steps(change.alert, book.rules))
    silences = holding(change.alert, book.silences, now)
    return Evaluation(write.alert.receivers, write.alert.withheld, steps, silences)

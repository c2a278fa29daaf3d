"""What hypothesis may make up: text as bad as senders send it, and short histories of one source."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from service_event_checker.core.model import Event
from service_event_checker.core.vocabulary import EventStatus, Kind, Severity
from tests.factories import NOW, event

#: a failure found once is found again by everybody; no file of examples is needed
REPEATABLE = settings(
    max_examples=200,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=20,
)

SOURCE = "github"
FINGERPRINTS = ("one", "two")
INTAKES = ("poll", "/alert", "/webhook")

# Any code point: control characters and lone surrogates, too. What clean() has rules for comes often.
wild_text = st.text(max_size=40) | st.text(alphabet="\0 \n\tab\ud800…é", max_size=12)
wild_times = st.none() | st.datetimes(timezones=st.just(UTC))
wild_mappings = st.dictionaries(wild_text, wild_text, max_size=4)

wild_events = st.builds(
    Event,
    source=wild_text,
    fingerprint=wild_text | st.text(min_size=250, max_size=260),
    kind=st.sampled_from(Kind),
    status=st.sampled_from(EventStatus),
    title=wild_text,
    severity=st.sampled_from(Severity),
    description=wild_text,
    at=wild_times,
    starts_at=wild_times,
    ends_at=wild_times,
    url=wild_text | wild_text.map("https://{}".format),
    labels=wild_mappings,
    annotations=wild_mappings,
    intake=wild_text,
    via=wild_text,
    actor=wild_text,
    note=wild_text,
    note_id=wild_text,
)


@dataclass(frozen=True)
class Poll:
    """A check that came back: which fingerprints it lists, whether it is complete, and what it could not ask."""

    listed: frozenset[str]
    complete: bool
    unknown: frozenset[str]


@dataclass(frozen=True)
class Silenced:
    """From now on a silence covers everything, or none does."""

    on: bool


class Tick:
    """The look for what was withheld."""

    def __repr__(self) -> str:
        return "Tick()"


Step = Event | Poll | Silenced | Tick


def moments() -> st.SearchStrategy[datetime]:
    return st.integers(min_value=0, max_value=4).map(lambda hours: NOW + timedelta(hours=hours))


def observations(statuses: tuple[EventStatus, ...] = tuple(EventStatus)) -> st.SearchStrategy[Event]:
    """Events of two alerts by several intakes, with times that may run backwards; some by persons, some by copies."""
    return st.builds(
        event,
        fingerprint=st.sampled_from(FINGERPRINTS),
        status=st.sampled_from(statuses),
        severity=st.sampled_from(Severity),
        title=st.sampled_from(("", "Slow", "Down")),
        intake=st.sampled_from(INTAKES),
        starts_at=st.none() | moments(),
        ends_at=st.none() | moments(),
        at=st.none() | moments(),
        via=st.sampled_from(("", "", "slack", "pager")),
        person=st.booleans(),
        actor=st.sampled_from(("", "Ada")),
        note_id=st.sampled_from(("", "7")),
    )


def polls(*, complete: bool | None = None) -> st.SearchStrategy[Poll]:
    some = st.frozensets(st.sampled_from(FINGERPRINTS))
    return st.builds(Poll, listed=some, complete=st.booleans() if complete is None else st.just(complete), unknown=some)


def histories() -> st.SearchStrategy[list[Step]]:
    steps = st.one_of(observations(), observations((EventStatus.FIRING,)), polls(), st.builds(Silenced, st.booleans()))
    return st.lists(steps | st.builds(Tick), min_size=1, max_size=8)

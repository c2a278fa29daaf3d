"""The shape of config.json as pydantic models, as far as it does not depend on the kinds of its entries."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import AwareDatetime, Field, ValidationError, model_validator

from service_event_checker.config.actions import PersonEntry
from service_event_checker.config.models import Duration, Model
from service_event_checker.config.rule_keys import AfterEntry, EscalateEntry, FlappingEntry, Lasting, WindowEntry
from service_event_checker.config.silences import Repeat
from service_event_checker.core.conditions import Conditions
from service_event_checker.core.tracker import REPEAT_WITHIN
from service_event_checker.core.vocabulary import Severity

_Mirrored = Literal["update", "note", "ack", "unack", "close"]
ModelT = TypeVar("ModelT", bound=Model)


class RuleEntry(Model):
    name: str = Field(min_length=1, max_length=100)
    match: tuple[str, ...] = ()
    send: tuple[str, ...]
    proceed: bool = False
    per: Literal["alert", "group"] | None = None
    group_by: Annotated[tuple[Annotated[str, Field(min_length=1, max_length=200)], ...], Field(max_length=10)] = ()
    group_wait: Annotated[Duration, Field(ge=timedelta(0), le=timedelta(hours=1))] | None = None
    for_: Lasting | None = Field(default=None, alias="for")
    after: AfterEntry | None = None
    windows: tuple[WindowEntry, ...] | None = None
    escalate: EscalateEntry | None = None

    @property
    def per_group(self) -> bool:
        return self.per == "group" or (self.per is None and bool(self.group_by))

    def conditions(self) -> Conditions:
        after, windows = self.after, self.windows or ()
        return Conditions(
            self.for_ or timedelta(0), after.after() if after else None, tuple(each.window() for each in windows)
        )

    @model_validator(mode="after")
    def _groups_by_each_name_once(self) -> Self:
        if len(set(self.group_by)) < len(self.group_by):
            raise ValueError("group_by: names a label twice. Name it once")
        return self


class SilenceEntry(Model):
    match: tuple[str, ...] = Field(min_length=1)
    starts_at: AwareDatetime
    ends_at: AwareDatetime
    owner: str
    reason: str
    repeat: Repeat | None = None


class MirrorEntry(Model):
    from_: str = Field(alias="from")
    to: str
    verbs: dict[_Mirrored, tuple[_Mirrored, ...]]


class HeartbeatEntry(Model):
    """A sender that is heard from at least once in `every`. `match`: its alerts that count, like Watchdog."""

    every: Annotated[Duration, Field(ge=timedelta(seconds=10), le=timedelta(days=31))]
    match: tuple[str, ...] = ()
    severity: Severity = Severity.CRITICAL


class DependencyEntry(Model):
    """Alerts that meet all of `match` hang on these: a checker, and behind a colon a component or region of it."""

    match: tuple[str, ...] = Field(min_length=1)
    on: tuple[str, ...] = Field(min_length=1)


class File(Model):
    schema_: str = Field(default="", alias="$schema")
    checkers: dict[str, dict[str, Any]] = {}
    destinations: dict[str, dict[str, Any]] = {}
    sources: dict[str, dict[str, Any]] = {"alertmanager": {"kind": "alertmanager"}}
    actions: dict[str, dict[str, Any]] = {}
    people: tuple[PersonEntry, ...] = ()
    rules: tuple[RuleEntry, ...] = ()
    silences: tuple[SilenceEntry, ...] = ()
    mirrors: tuple[MirrorEntry, ...] = ()
    heartbeats: dict[str, HeartbeatEntry] = {}
    flapping: FlappingEntry | None = FlappingEntry()
    depends: tuple[DependencyEntry, ...] = ()
    repeat_within: Annotated[Duration, Field(le=timedelta(hours=1))] = REPEAT_WITHIN


_LISTS: Mapping[str, type[Model]] = {
    "rules": RuleEntry,
    "silences": SilenceEntry,
    "mirrors": MirrorEntry,
    "people": PersonEntry,
    "depends": DependencyEntry,
}


def readable(raw: Any) -> File:
    """Return what can be read of a file with mistakes, so that the rest of it is checked as well.

    A rule, silence or mirror that cannot be read is None: the others keep their numbers.
    """
    if not isinstance(raw, dict):
        return File()
    sections: dict[str, Any] = {}
    for section in ("checkers", "destinations", "sources", "actions"):
        if isinstance(entries := raw.get(section), dict):
            sections[section] = {name: entry for name, entry in entries.items() if isinstance(entry, dict)}
    for section, model in _LISTS.items():
        if isinstance(listed := raw.get(section), list):
            sections[section] = tuple(_entry(model, entry) for entry in listed)
    if isinstance(entries := raw.get("heartbeats"), dict):
        read = {name: _entry(HeartbeatEntry, entry) for name, entry in entries.items()}
        sections["heartbeats"] = {name: entry for name, entry in read.items() if entry}
    return File.model_construct(**sections)


def numbered(entries: Iterable[ModelT | None]) -> Iterator[tuple[int, ModelT]]:
    """Yield the entries that can be read, each with its number in the file."""
    return ((number, entry) for number, entry in enumerate(entries) if entry is not None)


def _entry(model: type[ModelT], raw: Any) -> ModelT | None:
    try:
        return model.model_validate(raw)
    except ValidationError:
        return None

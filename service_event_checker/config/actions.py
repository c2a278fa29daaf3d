"""`actions` and `people` of config.json: what every kind of action has. A kind's own module adds its keys."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from service_event_checker.config.models import Duration, Model
from service_event_checker.core.actions import DAY, PER_DAY_MAX, Person, Policy

PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


class PersonEntry(Model):
    """The ids of one person: `slack` is the user ID, `login` that of a signed-in user or the name of a token."""

    name: str = Field(min_length=1, max_length=100)
    slack: str = ""
    login: str = ""

    def read(self) -> Person:
        return Person(self.name, self.slack, self.login)


class ApprovalEntry(Model):
    """Who has to approve a run: `people` of those in `by` (a name of `people`, a Slack user ID or a login)."""

    by: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1)]
    people: Annotated[int, Field(ge=1, le=20)] = 1
    expires: Annotated[Duration, Field(gt=timedelta(0), le=DAY)] = timedelta(minutes=15)


class VerifyEntry(Model):
    """After a success: `within` how long the alert is to be over."""

    within: Annotated[Duration, Field(gt=timedelta(0), le=DAY)]
    expect: Literal["resolved"] = "resolved"


class ActionConfig(Model):
    """What every action has. A kind's Config adds `kind: Literal["<module name>"]` and its own keys.

    `parameters`: name -> regular expression for the whole value. `labels`: parameter -> the label that a rule takes
    its value from, where that has another name. `subject`: the parameters that name what is acted on (left out: all).
    """

    TEMPLATES: ClassVar[tuple[str, ...]] = ()  # fields that may hold {parameter}, which must be declared

    kind: str
    parameters: dict[str, str] = {}
    labels: dict[str, str] = {}
    subject: tuple[str, ...] = ()
    approval: ApprovalEntry | None = None
    cooldown: Annotated[Duration, Field(ge=timedelta(0), le=DAY)] = timedelta(minutes=10)
    per_day: Annotated[int, Field(ge=1, le=PER_DAY_MAX)] = 10
    per_subject: Annotated[int, Field(ge=1, le=PER_DAY_MAX)] | None = None
    verify: VerifyEntry | None = None
    timeout: Annotated[Duration, Field(gt=timedelta(0), le=timedelta(minutes=15))] = timedelta(seconds=60)
    dry_run: bool = False

    @model_validator(mode="after")
    def _parameters_are_declared(self) -> Self:
        for name, pattern in self.parameters.items():
            if not _NAME.fullmatch(name):
                raise ValueError(
                    f'parameters: "{name[:60]}" is not a usable name. Use lower case letters, digits and _'
                )
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"parameters.{name}: is not a regular expression: {error}") from None
        used = {field: self.used_in(field) for field in self.TEMPLATES}
        for field, names in {**used, "subject": self.subject, "labels": tuple(self.labels)}.items():
            for name in names:
                if name not in self.parameters:
                    raise ValueError(f'{field}: "{name[:60]}" is not a parameter. Declare it in "parameters"')
        return self

    def used_in(self, field: str) -> tuple[str, ...]:
        """Return the parameters that a field's texts name."""
        return tuple(name for text in _texts(getattr(self, field)) for name in PLACEHOLDER.findall(text))

    def cautions(self) -> tuple[str, ...]:
        if self.approval or self.dry_run:
            return ()
        return ('approval: nobody has to approve this action. Add {"by": ["<Slack user ID>"], "people": 1}',)


def policy(name: str, config: ActionConfig, why_off: str) -> Policy:
    """Return what the entry allows."""
    approval = config.approval
    verify = config.verify
    return Policy(
        name=name,
        patterns=config.parameters,
        labels=config.labels,
        subject=config.subject,
        by=approval.by if approval else (),
        people=approval.people if approval else 0,
        expires=approval.expires if approval else ApprovalEntry.model_fields["expires"].default,
        cooldown=config.cooldown,
        per_day=config.per_day,
        per_subject=config.per_subject or config.per_day,
        timeout=config.timeout,
        verify=verify.within if verify else None,
        definition=hashlib.sha256(config.model_dump_json().encode()).hexdigest(),
        why_off=why_off,
        dry_run=config.dry_run,
    )


def problems(
    actions: Mapping[str, ActionConfig | None], destinations: Iterable[str], people: Sequence[Person]
) -> Iterator[str]:
    """Yield what is wrong with entries that are valid one by one."""
    taken = set(destinations)
    for name, config in actions.items():
        if name in taken:
            yield f"actions.{name}: a destination has this name. Rename one of them: rules send to both by name"
        approval = config.approval if config else None
        if approval and _named(approval.by, people) < approval.people:
            yield f"actions.{name}.approval.people: is more than the people in by. Name more, or ask for fewer"
    for number, person in enumerate(people):
        for field in ("name", "slack", "login"):
            value = getattr(person, field).casefold()
            if value and any(getattr(other, field).casefold() == value for other in people[:number]):
                yield f"people[{number}].{field}: another person has it. Give each id to one person"


def fill(text: str, values: Mapping[str, str]) -> str:
    """Return a text of the configuration with its parameters filled in, in one pass: a value is never read again."""
    return PLACEHOLDER.sub(lambda found: values[found[1]], text)


def _named(by: Iterable[str], people: Sequence[Person]) -> int:
    """Return how many people a list names at most."""
    owners = {id.casefold(): person.name for person in people for id in (person.name, person.slack, person.login) if id}
    return len({owners.get(name.casefold(), name) for name in by})


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from (text for each in value.values() for text in _texts(each))
    elif isinstance(value, Iterable):
        yield from (text for each in value for text in _texts(each))

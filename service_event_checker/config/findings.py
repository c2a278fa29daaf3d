"""What the lint of the configuration works with: its findings, and what the adapters tell of their kinds. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from service_event_checker.core.matchers import Matcher
from service_event_checker.core.vocabulary import Severity, Verb

ANY_NAME = "<name>"


@dataclass(frozen=True, slots=True)
class Findings:
    """Lines like `rules[0].match[1]: what is wrong. How to fix it`. An error can never work; a warning may be meant."""

    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def add(self, other: Findings) -> None:
        self.errors.extend(other.errors)
        self.warnings.extend(other.warnings)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where alerts come from, as matchers see it: the value of `source`, and what alerts of it can carry.

    A source that ends in ANY_NAME stands for all that begin so: their senders choose the rest of the name.
    `intakes`: the ways in by which its alerts are opened, which no other origin shares.
    """

    source: str
    kinds: frozenset[str]
    tests: frozenset[str]
    intakes: frozenset[str]

    @property
    def prefix(self) -> str:
        """How the sources begin that this stands for, `rest:` of `rest:<name>`; "" for one source."""
        return self.source.removesuffix(ANY_NAME) if self.source.endswith(ANY_NAME) else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """What the adapters tell of their kinds, and the moment of the check.

    Of a kind of destination: `verbs`, what it can be asked to do (nothing for no such kind); `reports`, whether it
    tells us what people do there; `opens`, whether alerts that were born there come to us; `intake`, its way in.
    `webhooks`: by source that sends by webhook, its ways in. `acts`: the ways in by which people and reconciliation
    change alerts. `severity_of`: what a sender's word counts as. `variables`: all variables that any kind reads; slow.
    """

    now: datetime
    verbs: Callable[[str], frozenset[Verb]]
    reports: Callable[[str], bool]
    opens: Callable[[str], bool]
    intake: Callable[[str], str]
    webhooks: Mapping[str, frozenset[str]]
    acts: frozenset[str]
    severity_of: Callable[[str], Severity | None]
    variables: Callable[[], frozenset[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Matching:
    """A rule or a silence: its path in the file, and its matchers, each with its own path.

    `at_times`: it does not match at all times.
    """

    where: str
    name: str
    matchers: tuple[tuple[str, Matcher], ...]
    send: tuple[str, ...] = ()
    proceed: bool = False
    at_times: bool = False

"""The lint of config.json: finds what is valid and yet has no effect. Reads nothing and never raises. Pure.

It is the same for the start and for `./outage config check`. load.py gives it what could be read of the file;
what could not is a mistake that is listed already.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from service_event_checker.config import lint_entries, lint_matchers, lint_rules
from service_event_checker.config.file import RuleEntry
from service_event_checker.config.findings import Findings, Matching, Origin, Traits
from service_event_checker.config.lint_matchers import Values
from service_event_checker.config.models import CheckerConfig, Model
from service_event_checker.core import matchers
from service_event_checker.core.errors import InvalidInput
from service_event_checker.core.matchers import Matcher
from service_event_checker.core.vocabulary import Kind

POLL, TEST = "poll", "test"  # the ways in of checkers: engine/polling.py, engine/test_mode.py


def rules(
    found: Sequence[tuple[str, RuleEntry]], silences: Sequence[tuple[str, tuple[str, ...]]], values: Values
) -> Findings:
    """Check rules and silences, given with their paths; of a silence only its matchers matter here."""
    result = lint_rules.names([(where, rule.name) for where, rule in found])
    ruled = [_matching(where, rule) for where, rule in found]
    silenced = [Matching(where=where, name=where, matchers=located(match, where)) for where, match in silences]
    wrong: set[str] = set()
    for part in (*ruled, *silenced):
        found_here = lint_matchers.check(part, values)
        wrong.update([part.where] if found_here.errors else [])
        result.add(found_here)
    result.add(lint_rules.reach([rule for rule in ruled if rule.where not in wrong], values))
    result.add(lint_rules.labels([*ruled, *silenced]))
    return result


def entries(section: str, configs: Iterable[tuple[str, Model | None]]) -> Findings:
    """Check the entries of a section for what their own models cannot see; a config is None where the entry is off."""
    result = Findings()
    for name, config in configs:
        where = f"{section}.{name}"
        result.add(lint_entries.cautions(where, config))
        if isinstance(config, CheckerConfig):
            result.add(lint_entries.selection(where, config.only, config.except_))
    return result


def origins(checkers: Iterable[str], destinations: Mapping[str, str], traits: Traits) -> tuple[Origin, ...]:
    """Return where alerts can come from: the checkers, who sends by webhook, and destinations (name -> kind) in which
    alerts are born.

    Without any checker there is one without a name: rules for outages may stay while nothing is polled.
    """
    polled = frozenset({Kind.OUTAGE.value, Kind.MAINTENANCE.value})
    both, real = frozenset({"true", "false"}), frozenset({"false"})
    own = frozenset({Kind.ALERT.value})
    found = [Origin(name, polled, both, frozenset({POLL, TEST})) for name in list(checkers) or [""]]
    found += [Origin(name, own, real, intakes) for name, intakes in traits.webhooks.items()]
    for name, kind in destinations.items():
        if traits.opens(kind):
            found.append(Origin(name, own, real, frozenset({traits.intake(kind)})))
    return tuple(found)


def _matching(where: str, rule: RuleEntry) -> Matching:
    return Matching(
        where=where,
        name=rule.name,
        matchers=located(rule.match, where),
        send=(*rule.send, *(rule.escalate.send if rule.escalate else ())),
        proceed=rule.proceed,
        at_times=rule.windows is not None,
    )


def located(texts: Iterable[str], where: str) -> tuple[tuple[str, Matcher], ...]:
    """Return the matchers that can be read, each with its path."""
    return tuple(_located(texts, where))


def _located(texts: Iterable[str], where: str) -> Iterator[tuple[str, Matcher]]:
    for number, text in enumerate(texts):
        path = f"{where}.match[{number}]"
        try:
            yield from ((path, matcher) for matcher in matchers.parse(text, path))
        except InvalidInput:
            continue  # listed already

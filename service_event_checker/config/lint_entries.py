"""Finds filters of checkers, mirrors and silences that can have no effect. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from service_event_checker.config.findings import Findings, Traits
from service_event_checker.config.models import Model, Selection
from service_event_checker.core.mirrors import ALERT
from service_event_checker.core.vocabulary import Severity, Verb

_PLACES = ("components", "groups", "regions", "services", "instances")
_STRANGE = "\u2603"  # no title is only that


def selection(where: str, only: Selection, except_: Selection) -> Findings:
    """Check what a checker selects; `where` is the checker's path."""
    found = Findings(list(_blank(where, only, except_)))
    if except_.title and re.search(except_.title, "") and re.search(except_.title, _STRANGE):
        found.errors.append(f"{where}.except.title: fits every title, so that nothing affects us. Write it narrower")
    if set(only.severities or Severity) <= set(except_.severities):
        found.errors.append(
            f"{where}.except.severities: excludes every severity that is left, so that nothing affects us. Remove some"
        )
    for key in _PLACES:
        wanted = {name.strip().casefold() for name in getattr(only, key)}
        for number, name in enumerate(getattr(except_, key)):
            if name.strip().casefold() in wanted - {""}:
                found.warnings.append(
                    f'{where}.except.{key}[{number}]: "{name}" is in "only" as well, so that an outage of it alone '
                    "does not affect us. Remove one of the two"
                )
    return found


def mirror(
    where: str, source: str, target: str, verbs: Mapping[Verb, Sequence[Verb]], kinds: Mapping[str, str], traits: Traits
) -> Findings:
    """Check one mirror between destinations that exist; `kinds`: the kind of each destination by its name."""
    errors = []
    if source in kinds and not traits.reports(kinds[source]):
        errors.append(
            f"{where}.from: can never happen: {source} tells us nothing of what people do there. Remove the mirror"
        )
    can = traits.verbs(kinds.get(target, ""))
    if target != ALERT and can:
        errors += [f"{where}.verbs.{verb}: {line}" for verb, line in _impossible(target, verbs, can)]
    return Findings(errors)


def fallbacks(entries: Mapping[str, str], off: Iterable[str]) -> Findings:
    """Check who takes over from whom; `entries`: the fallback of each destination, "" for none; `off`: those off."""
    found = Findings()
    for name, fallback in entries.items():
        where = f"destinations.{name}.fallback"
        if not fallback:
            continue
        if fallback not in entries:
            known = ", ".join(each for each in entries if each != name) or "none"
            found.errors.append(f'{where}: there is no destination "{fallback}". Name one of: {known}')
        elif fallback == name:
            found.errors.append(f"{where}: is the destination itself. Name another one")
        elif entries[fallback]:
            found.errors.append(
                f"{where}: {fallback} has a fallback itself. Only one step is possible; remove one of them"
            )
        elif fallback in off:
            found.warnings.append(
                f"{where}: {fallback} is off, so that nobody takes over. Turn it on or name another one"
            )
    return found


def silence(where: str, ends_at: datetime, now: datetime) -> Findings:
    """Warn of a silence that is over."""
    if ends_at > now:
        return Findings()
    return Findings(warnings=[f"{where}.ends_at: is in the past, so that it silences nothing. Remove the silence"])


def cautions(where: str, config: Model | None) -> Findings:
    """Return what an entry's own kind warns of."""
    return Findings(warnings=[f"{where}.{line}" for line in (config.cautions() if config else ())])


def _blank(where: str, only: Selection, except_: Selection) -> Iterator[str]:
    for key in _PLACES:
        for field, chosen in (("only", only), ("except", except_)):
            for number, name in enumerate(getattr(chosen, key)):
                if not name.strip():
                    yield f"{where}.{field}.{key}[{number}]: is empty and can never match. Write a name, or remove it"


def _impossible(target: str, verbs: Mapping[Verb, Iterable[Verb]], can: frozenset[Verb]) -> Iterator[tuple[Verb, str]]:
    """Yield the verbs that are carried to a destination which cannot do them; there, `note` stands for `unack`."""
    for verb, wanted in verbs.items():
        for each in wanted:
            if each not in can and not (each is Verb.UNACK and Verb.NOTE in can):
                able = ", ".join(sorted(can))
                yield verb, f"can never happen: {target} cannot do {each}. It can do {able}"

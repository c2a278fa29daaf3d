"""Finds conditions and escalations of rules that contradict the rule. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from service_event_checker.config.file import RuleEntry
from service_event_checker.config.findings import Findings, Traits
from service_event_checker.config.lint_matchers import allowed
from service_event_checker.core.matchers import Matcher
from service_event_checker.core.vocabulary import Verb


def conditions(
    where: str, rule: RuleEntry, matchers: Sequence[Matcher], kinds: Mapping[str, str], traits: Traits
) -> Findings:
    """Check one rule; `kinds`: the kind of each destination by its name."""
    return Findings([f"{where}.{line}" for line in _contradictions(rule, matchers, kinds, traits)])


def _contradictions(
    rule: RuleEntry, matchers: Sequence[Matcher], kinds: Mapping[str, str], traits: Traits
) -> Iterator[str]:
    if rule.windows == ():
        yield "windows: is empty. Name at least one, or remove windows"
    given = {"for": rule.for_, "after": rule.after, "windows": rule.windows}
    for key in [key for key, value in given.items() if value]:
        if not rule.send and rule.escalate is None:
            yield f"{key}: has no effect, because the rule sends to nobody. Name a destination in send, or remove {key}"
        elif key == "for" and rule.send and not _opens(rule.send, kinds, traits):
            yield "for: has no effect, because none of send can be told that an alert opens. Remove for, or change send"
    if rule.after and rule.per_group:
        yield "after: counts how often one alert fires, and this rule tells of groups. Remove after, or the group"
    if rule.escalate is None:
        return
    if not _opens(rule.escalate.send, kinds, traits):
        yield "escalate.send: none of it can be told that an alert opens. Name a chat, mail, ticket or pager"
    if allowed([each for each in matchers if each.name == "test"], ("true", "false")) == {"true"}:
        yield "escalate: never happens, because test alerts do not escalate. Remove escalate, or the matcher of test"


def _opens(send: Sequence[str], kinds: Mapping[str, str], traits: Traits) -> bool:
    """Whether any receiver can be told of an opening; of one that does not exist is said elsewhere."""
    return any(name not in kinds or Verb.OPEN in traits.verbs(kinds[name]) for name in send)

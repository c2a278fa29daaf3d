"""Display names: GitHub for `github`. Wiring sets them once; unknown names are shown unchanged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from service_event_checker.core.vocabulary import Why
from service_event_checker.render.text import line
from service_event_checker.render.texts import say


@dataclass(frozen=True, slots=True)
class _Names:
    shown: Mapping[str, str]
    pagers: frozenset[str]


_used = [_Names({}, frozenset())]
_STEPS = {Why.DELIVERED: "Told", Why.GAVE_UP: "Failed"}


def use(names: Mapping[str, str], pagers: Iterable[str] = ()) -> None:
    """Set display names, in place of former ones; `pagers` are the receivers whose objects are called pages."""
    _used[0] = _Names(dict(names), frozenset(pagers))


def object_name(receiver: str) -> str:
    """Return what a receiver's object is called: "Page" at a pager, "Ticket" elsewhere."""
    return say("object.page") if receiver in _used[0].pagers else say("object.ticket")


def step_name(why: Why) -> str:
    """Return what the timeline calls a transition for people."""
    return _STEPS.get(why, why.capitalize())


def platform_name(source: str) -> str:
    """Return the display name of a source or receiver: `azure_devops` is Azure DevOps, `rest:shop` is shop."""
    name = source.rpartition(":")[2] or source
    return _used[0].shown.get(name) or line(name, 60)

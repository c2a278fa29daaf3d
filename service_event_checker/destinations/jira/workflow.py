"""What a Jira project's workflow and screens allow, and which of it to take; pure.

Ids and names of transitions differ from project to project and from status to status; the categories of the statuses
are the same everywhere, in every language.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from service_event_checker.config.models import as_mapping
from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.core.vocabulary import Status

NEW, IN_PROGRESS, DONE = "new", "indeterminate", "done"
STATUSES = {NEW: Status.FIRING, IN_PROGRESS: Status.ACKNOWLEDGED, DONE: Status.RESOLVED}
_RESOLUTIONS = ("Done", "Fixed", "Resolved")  # of those that a screen allows, before its first

_NOT_FIXED = re.compile(r"duplicat|merge|moved", re.IGNORECASE)  # of the names of resolutions

Screen = Mapping[str, Mapping[str, Any]]  # field id -> what Jira tells of it (FieldMetadata)


@dataclass(frozen=True, slots=True)
class Step:
    """A transition that can be taken now, and the status that it leads to."""

    id: str
    name: str
    status: str
    category: str
    screen: Screen


def category(status: Any) -> str:
    """Return the key of a status' category, "" if it tells none."""
    return str(as_mapping(as_mapping(status).get("statusCategory")).get("key", ""))


def not_fixed(resolution: str) -> str:
    """Say that an issue was closed without being fixed, "" where its resolution does not tell so."""
    return f"closed as {resolution[:100]} in Jira" if _NOT_FIXED.search(resolution) else ""


def ending(steps: Iterable[Step], wanted: str, where: str, given: Collection[str] = ()) -> Step:
    """Return the step that ends an issue: that named `wanted`, else that which demands least, the first of them.

    `wanted` is the name of a transition or of its status, or ""; `given` are the fields that we have a value for.
    Raises DeliveryError, which says `where`.
    """
    ends = [step for step in steps if step.category == DONE]
    name = wanted.casefold()
    chosen = [step for step in ends if not name or name in (step.name.casefold(), step.status.casefold())]
    if chosen:
        return min(chosen, key=lambda step: len(set(demanded(step.screen)) - {"resolution", *given}))
    if ends:
        offered = ", ".join(step.name for step in ends)
        raise _refused(f"{where} there is no transition {wanted}, but {offered}. Set `close_transition`")
    hint = 'Add one to the workflow, or set `on_resolve` to "comment"'
    raise _refused(f"{where} no transition leads to a status of the category Done. {hint}")


def reopening(steps: Iterable[Step], where: str) -> Step:
    """Return the step that opens an issue again, to the beginning if possible. Raises DeliveryError."""
    ways = {step.category: step for step in reversed(list(steps))}
    for wanted in (NEW, IN_PROGRESS):
        if wanted in ways:
            return ways[wanted]
    raise _refused(f"{where} no transition leads back to work")


def answers(step: Step, resolution: str) -> dict[str, Any]:
    """Return the fields that a closing step is given: a resolution, where its screen demands one or we have one."""
    if "resolution" not in step.screen or not (resolution or "resolution" in demanded(step.screen)):
        return {}
    offered = choices(step.screen, "resolution")
    usual = [name for name in _RESOLUTIONS if name in offered] + offered
    return {"resolution": {"name": resolution or (usual[0] if usual else _RESOLUTIONS[0])}}


def demanded(screen: Screen) -> Iterator[str]:
    """Yield the ids of the fields that have to be given and have no default."""
    for id, field in screen.items():
        if field.get("required") is True and field.get("hasDefaultValue") is not True:
            yield id


def choices(screen: Screen, id: str) -> list[str]:
    """Return the names that a field allows."""
    allowed = screen.get(id, {}).get("allowedValues")
    return [str(each["name"]) for each in allowed if "name" in as_mapping(each)] if isinstance(allowed, list) else []


def wanting(screen: Screen, place: str, given: Collection[str], priorities: Iterable[str]) -> Iterator[str]:
    """Yield what a person should correct in a create screen: what we need there, and what it demands of us.

    `given` are the ids of the fields that an issue gets, `priorities` the names that we would use.
    """
    if "labels" not in screen:
        yield f"Labels is not on {place}: no issue can be made. Put the field on the screen"
    for id in demanded(screen):
        if id not in given:
            yield f"{screen[id].get('name', id)} ({id}) is required on {place}. Give it a value in `fields`"
    known = choices(screen, "priority")
    unknown = sorted(set(priorities) - set(known))
    if unknown:
        has = f"it has {', '.join(known)}" if known else "it has none"
        yield f"Priority on {place} has no {', '.join(unknown)} ({has}): such issues get none. Set `priorities`"


def _refused(detail: str) -> DeliveryError:
    return DeliveryError(Reason.REFUSED, detail, permanent=True)

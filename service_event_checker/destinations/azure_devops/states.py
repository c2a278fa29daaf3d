"""What the states of work items mean: each process has its own, but each state is of one of five categories.

https://learn.microsoft.com/azure/devops/boards/work-items/workflow-and-state-categories
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.core.vocabulary import Status

PROPOSED, IN_PROGRESS, RESOLVED, COMPLETED, REMOVED = "Proposed", "InProgress", "Resolved", "Completed", "Removed"
ENDED = frozenset({COMPLETED, REMOVED})
_STOCK: Mapping[str, str] = {  # of the processes Agile, Scrum, CMMI and Basic
    **dict.fromkeys(("New", "Approved", "Proposed", "To Do"), PROPOSED),
    **dict.fromkeys(("Active", "Committed", "In Progress", "Doing"), IN_PROGRESS),
    "Resolved": RESOLVED,
    **dict.fromkeys(("Closed", "Done"), COMPLETED),
    "Removed": REMOVED,
}
_STATUS = {
    PROPOSED: Status.FIRING,
    IN_PROGRESS: Status.ACKNOWLEDGED,
    **dict.fromkeys((RESOLVED, COMPLETED, REMOVED), Status.RESOLVED),
}

Listed = tuple[tuple[str, str], ...]  # (state, category), in the order of the workflow


class States:
    """The states of each work item type. `ask` returns those of one type, or raises DeliveryError; it is asked once."""

    def __init__(self, ask: Callable[[str], Listed]) -> None:
        self._ask = ask
        self._known: dict[str, Listed] = {}

    def of(self, kind: str) -> Listed:
        """Return the states of a type. Raises DeliveryError."""
        if kind not in self._known:
            self._known[kind] = self._ask(kind)
        return self._known[kind]

    def of_any(self, kind: str) -> Listed:
        """Return the states of a type, () where the project has no such type. Raises DeliveryError."""
        try:
            return self.of(kind)
        except DeliveryError as error:
            if error.reason is not Reason.NOT_FOUND:
                raise
            return ()

    def category(self, kind: str, state: str) -> str:
        """Return the category of a state, "" if the type no longer has it. Raises DeliveryError."""
        return dict(self.of(kind)).get(state, "")

    def first(self, kind: str, categories: tuple[str, ...]) -> str:
        """Return the first state of the first of the categories that the type has. Raises DeliveryError."""
        for wanted in categories:
            for name, category in self.of(kind):
                if category == wanted:
                    return name
        raise DeliveryError(Reason.REFUSED, f"{kind} has no state of category {categories[0]}", permanent=True)

    def removed(self, kind: str, state: str) -> bool:
        """Whether a state means that the work is not to be done at all. Asks nobody."""
        return (dict(self._known.get(kind, ())).get(state) or _STOCK.get(state, "")) == REMOVED

    def status(self, kind: str, state: str) -> Status | None:
        """Return what a state means for an alert, None for one that is not known. Asks nobody.

        The state in which a type begins means that nobody has taken it, whatever its category: an Issue of the process
        Agile begins Active, which is InProgress.
        """
        known = self._known.get(kind, ())
        if state in [name for name, _ in known[:1]]:
            return Status.FIRING
        return _STATUS.get(dict(known).get(state) or _STOCK.get(state, ""))

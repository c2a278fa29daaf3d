"""The errors that cross a port. One root, few branches; each carries facts, never a secret.

OutageCheckerError
├── SourceError      a source could not be read: its state is unknown, never quiet
├── DeliveryError    a destination did not (certainly) do what it was asked
├── StoreError       the store is away or too slow
│   ├── LeaseLost        the delivery belongs to another worker now; record nothing
│   └── StoreConflict    somebody else changed the alert or the lane first; read and decide anew
└── InvalidInput     invalid input from outside; says what, where and how to fix it
"""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why a call failed; a metric label."""

    TIMEOUT = "timeout"
    RESET = "connection reset"
    UNREACHABLE = "unreachable"
    SERVER_ERROR = "server error"
    GARBAGE = "unreadable answer"
    RATE_LIMITED = "rate limited"
    UNAUTHORIZED = "unauthorized"  # who we are
    FORBIDDEN = "forbidden"  # what we may
    REFUSED = "refused"
    NOT_FOUND = "not found"
    PAGE_CHANGED = "the page changed"
    TOO_LARGE = "too large"
    FORBIDDEN_ADDRESS = "forbidden address"
    NOT_CONFIGURED = "not configured"
    CRASHED = "internal error"

    @property
    def ambiguous(self) -> bool:
        """Whether the request may have had its effect although we saw no clean success."""
        return self in _AMBIGUOUS


_AMBIGUOUS = frozenset(
    {Reason.TIMEOUT, Reason.RESET, Reason.SERVER_ERROR, Reason.GARBAGE, Reason.TOO_LARGE, Reason.CRASHED}
)


class OutageCheckerError(Exception):
    """The root: what we raise ourselves."""


class SourceError(OutageCheckerError):
    """A source could not be read. `retry_after` in seconds where the source asked for a pause."""

    def __init__(self, source: str, reason: Reason, detail: str = "", *, retry_after: float | None = None) -> None:
        super().__init__(f"{source}: {reason}" + (f" ({detail})" if detail else ""))
        self.source = source
        self.reason = reason
        self.detail = detail
        self.retry_after = retry_after


class DeliveryError(OutageCheckerError):
    """A delivery failed, or its result is unknown. `permanent`: a retry is useless."""

    def __init__(
        self, reason: Reason, detail: str = "", *, permanent: bool = False, retry_after: float | None = None
    ) -> None:
        super().__init__(f"{reason}" + (f" ({detail})" if detail else ""))
        self.reason = reason
        self.detail = detail
        self.permanent = permanent
        self.retry_after = retry_after


class StoreError(OutageCheckerError):
    """The store did not answer, or not in time."""


class LeaseLost(StoreError):
    """Somebody else holds the delivery now."""


class StoreConflict(StoreError):
    """Somebody else changed the alert or the lane first."""


class InvalidInput(OutageCheckerError):
    """Input that can never succeed. `where` is a path like `alerts[2].labels`, `hint` says how to fix it."""

    def __init__(self, where: str, problem: str, hint: str = "") -> None:
        super().__init__(f"{where}: {problem}" + (f". {hint}" if hint else ""))
        self.where = where
        self.problem = problem
        self.hint = hint

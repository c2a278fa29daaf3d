"""The words of the product as enums; they stand in logs, metrics, matchers and stores as they are."""

from __future__ import annotations

from enum import StrEnum

DRY_RUN = "dry run at "  # begins the annotation of a test alert that names what a receiver would have got


class Kind(StrEnum):
    OUTAGE = "outage"
    MAINTENANCE = "maintenance"
    ALERT = "alert"


class EventStatus(StrEnum):
    FIRING = "firing"
    RESOLVED = "resolved"
    ACKNOWLEDGED = "acknowledged"
    UNACKNOWLEDGED = "unacknowledged"
    NOTED = "noted"


class Status(StrEnum):
    FIRING = "firing"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


class Severity(StrEnum):
    CRITICAL = "critical"
    ERROR = "error"
    WARNING = "warning"
    INFO = "info"

    @property
    def rank(self) -> int:
        """0 is the most severe."""
        return _RANKS[self]


_RANKS = {severity: place for place, severity in enumerate(Severity)}  # asked for every row that is written


class Affects(StrEnum):
    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


class ResolvedBy(StrEnum):
    SOURCE = "source"
    ABSENCE = "absence"
    RETRACTED = "retracted"
    PERSON = "person"


class Verb(StrEnum):
    """What a destination can be asked to do: one small language for ticket, pager, chat and remediation."""

    OPEN = "open"
    UPDATE = "update"
    NOTE = "note"
    ACK = "ack"
    UNACK = "unack"
    CLOSE = "close"
    RUN = "run"


class Why(StrEnum):
    """The reason of a transition: log field, metric label and text for people."""

    OPENED = "opened"
    OPENED_AGAIN = "opened again"
    SEVERITY_RAISED = "severity raised"
    SEVERITY_LOWERED = "severity lowered"
    CHANGED = "content changed"
    NEW_INTAKE = "seen by another intake"
    ACKNOWLEDGED = "acknowledged"
    UNACKNOWLEDGED = "acknowledgement taken back"
    NOTED = "note"
    RESOLVED_BY_SOURCE = "resolved by the source"
    RESOLVED_BY_ABSENCE = "no longer listed by the source"
    RETRACTED = "retracted by the source"
    EXPIRED = "no longer repeated by the source"
    RESOLVED_BY_PERSON = "resolved by a person"
    SOURCE_ENDED = "ended at the source after a person had resolved it"
    REPEATED = "late repeat"
    MISSED = "already over when first seen"
    RELEASED = "withheld until now"
    LINKED = "linked"
    RECEIVER_ADDED = "receiver added"
    OVER_BEFORE_SENT = "over before it was sent"
    DELIVERED_OTHERWISE = "delivered in another way"
    GAVE_UP = "delivery given up"
    DRY_RUN = "dry run"
    DELIVERED = "delivered"
    SKIPPED = "not sent"
    WITHHELD = "withheld"
    COPY_RESOLVED = "resolved at a copy"
    COPY_NOT_FIXED = "merged, moved, marked as a duplicate or deleted at a copy"
    RECONCILED = "repaired by reconciliation"
    LEFT_OUT = "changes left out"
    MOVED = "its destination has another name"
    FIRED_AGAIN = "fired again while open"
    ESCALATED = "escalated"
    FLAPPING = "flapping"
    CALM = "no longer flapping"
    FAILED_OVER = "sent to the fallback"
    EXPLAINED = "explained"
    EXPLANATION_WITHDRAWN = "explanation withdrawn"
    JUDGED = "judged by a person"
    SUMMARISED = "in the summary of a storm"
    ACTION = "action"

    @property
    def opens(self) -> bool:
        """Whether it begins an episode; one that was over when it was first seen is an episode too."""
        return self in (Why.OPENED, Why.OPENED_AGAIN, Why.MISSED)


class Family(StrEnum):
    """What sort of place a receiver is; decides who hears of links, what a close may cancel, where tests go."""

    TICKET = "ticket"
    PAGER = "pager"
    CHAT = "chat"
    MAIL = "mail"
    ACTION = "action"

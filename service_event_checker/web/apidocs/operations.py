"""What each route of the API takes and answers, as the models that its code uses; `document` makes OpenAPI of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, RootModel

from service_event_checker.config.silences import NewSilence
from service_event_checker.core.vocabulary import Kind, Severity
from service_event_checker.engine.acts import TicketState
from service_event_checker.engine.search import SORTS, TIMES
from service_event_checker.render.runs import ActionShape, RunShape
from service_event_checker.render.shapes import (
    AlertDetail,
    AlertPage,
    AlertSummary,
    ChangeShape,
    CountedAlertPage,
    DeliveryState,
    DeliverySummary,
    FailedDelivery,
    SettledDelivery,
    VerdictShape,
    Withheld,
)
from service_event_checker.render.silences import HoldingShape, MatchedAlert, SilenceShape
from service_event_checker.render.vendor_record import VendorRecordShape
from service_event_checker.sources.evaluate import Question
from service_event_checker.sources.rest.payload import NewAlert
from service_event_checker.web.api.heartbeats import HeartbeatShape
from service_event_checker.web.api.parts import CheckerShape, DestinationShape, FoundEvent, TrialShape
from service_event_checker.web.api.schemas import (
    ActionRequest,
    ApprovalAnswer,
    BulkAct,
    BulkAnswer,
    DestinationTest,
    NewChange,
    NewNote,
    NewTicket,
    NewVerdict,
    StatusChange,
)
from service_event_checker.web.api.stats import StatsShape
from service_event_checker.web.api.vendors import VendorRecords

Schema = dict[str, Any]


class AlertList(RootModel[CountedAlertPage | AlertPage]):
    """One page of alerts, with `total` where it was asked for."""


class NewAlerts(RootModel[NewAlert | list[NewAlert]]):
    """One alert, or a list of up to 1,000."""


class WrongField(BaseModel):
    field: str
    problem: str


class NewAlertResult(BaseModel):
    """What became of one alert of a list: 201 new, 200 known, 404 the end of one never seen, 422 invalid."""

    index: int
    status: int
    id: str = ""
    key: str = ""
    fingerprint: str = ""
    error: str = ""
    heartbeat: bool = False
    fields: list[WrongField] = []
    quarantined: str | None = None


class NewAlertResults(BaseModel):
    accepted: int
    rejected: int
    results: list[NewAlertResult]
    warnings: list[str] = []


class Actions(BaseModel):
    actions: list[ActionShape]


class Approvals(BaseModel):
    """The runs that wait for their approval, the oldest first."""

    approvals: list[RunShape]


class Heard(BaseModel):
    """A sign of life of a sender: it becomes no alert."""

    heartbeat: bool


class CreatedAlert(AlertSummary):
    warnings: list[str] = []


class KnownAlertOrResults(RootModel[CreatedAlert | NewAlertResults | Heard]):
    """For one alert the alert, for a list the results."""


class Ticket(BaseModel):
    id: str
    receiver: str
    state: TicketState
    url: str
    requested_by: str
    reason: str


class ListedDeliveries(BaseModel):
    deliveries: list[DeliverySummary]


class SettledDeliveries(BaseModel):
    """What is settled, with the cursor of the next page, null on the last one."""

    deliveries: list[SettledDelivery]
    cursor: str | None


class Deliveries(RootModel[SettledDeliveries | ListedDeliveries]):
    """Deliveries of one state; those that are settled come in pages."""


class DeadLetters(BaseModel):
    dead_letters: list[FailedDelivery]


class QuarantinedBody(BaseModel):
    id: str
    source: str
    route: str
    received_at: AwareDatetime
    error: str
    cut: bool


class QuarantinedDetail(QuarantinedBody):
    headers: dict[str, str]
    binary: bool
    redacted: bool
    body: str


class Quarantine(BaseModel):
    quarantine: list[QuarantinedBody]


class Retried(BaseModel):
    retried: str


class Requeued(BaseModel):
    requeued: str


class Discarded(BaseModel):
    discarded: str


class Replayed(BaseModel):
    replayed: str
    accepted: int


class RuleAfter(BaseModel):
    count: int
    within: str


class RuleEscalate(BaseModel):
    after: str
    send: list[str]
    repeat: str = ""


class RuleShape(BaseModel):
    """One rule; `per`, `group_by` and `group_wait` (seconds) only of a rule for groups.

    Other durations are written as in config.json, windows like "mon-fri 08:00-18:00 Europe/Berlin".
    """

    name: str
    match: list[str]
    send: list[str]
    proceed: bool
    last_matched_at: AwareDatetime | None
    per: str = "alert"
    group_by: list[str] = []
    group_wait: float = 0
    for_: str = Field(default="", alias="for")
    after: RuleAfter | None = None
    windows: list[str] = []
    escalate: RuleEscalate | None = None


class NoKeys(BaseModel):
    """An empty object."""

    model_config = ConfigDict(extra="forbid")


class Rules(BaseModel):
    rules: list[RuleShape]


class RuleStep(BaseModel):
    rule: str
    matched: bool
    why: str
    alert: str = ""


class RuleGroup(BaseModel):
    """A group that the alert would join; `wait` in seconds."""

    rule: str
    key: str
    labels: dict[str, str]
    receivers: list[str]
    wait: float


class Evaluated(BaseModel):
    """Who would be told; `groups` is left out where the alert joins none."""

    receivers: list[str]
    withheld: list[Withheld]
    steps: list[RuleStep]
    groups: list[RuleGroup] = []
    silences: list[HoldingShape]


class Silences(BaseModel):
    silences: list[SilenceShape]


class Previewed(BaseModel):
    matches: list[MatchedAlert]
    count: int


class ReloadedConfiguration(BaseModel):
    """What differs from before, by section or part, like "rules" or "destination pager"."""

    file: str
    checksum: str
    added: list[str]
    removed: list[str]
    changed: list[str]
    warnings: list[str]


class Checkers(BaseModel):
    checkers: list[CheckerShape]


class Checked(BaseModel):
    checker: str
    complete: bool
    events: list[FoundEvent]
    warnings: list[str]


class Trouble(VerdictShape):
    """The verdict on all that is open with the labels, and these alerts."""

    alerts: list[AlertSummary]


class Judged(VerdictShape):
    """The verdict after what a person has said; `id` is the alert's."""

    id: str


class Changes(BaseModel):
    """Changes of our own, the newest first."""

    changes: list[ChangeShape]


class Heartbeats(BaseModel):
    heartbeats: list[HeartbeatShape]


class HeardFrom(BaseModel):
    heartbeat: str
    due_at: AwareDatetime


class Destinations(BaseModel):
    destinations: list[DestinationShape]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """`answers` by status; `query` and `headers` by name of the parameter, with its schema."""

    answers: Mapping[int, type[BaseModel]]
    body: type[BaseModel] | None = None
    query: Mapping[str, Schema] = field(default_factory=dict)
    headers: Mapping[str, Schema] = field(default_factory=dict)


def _one_of(*values: str) -> Schema:
    return {"type": "string", "enum": list(values)}


def _several(*values: str) -> Schema:
    return {"type": "array", "items": _one_of(*values) if values else {"type": "string"}}


_TEXT = {"type": "string"}
_DAYS = {"type": "integer", "minimum": 1, "maximum": 366, "default": 90}
_TIME = {"anyOf": [{"type": "string", "format": "date-time"}, {"const": ""}]}  # "" is as good as none
_SEARCH: Mapping[str, Schema] = {
    "status": _several("active", "firing", "acknowledged", "resolved"),
    "severity": _several(*Severity),
    "kind": _several(*Kind),
    "source": _TEXT,
    "filter": _several(),
    "q": {"type": "string", "maxLength": 200},
    "from": _TIME,
    "to": _TIME,
    "time": _one_of(*TIMES),
    "sort": _one_of(*SORTS),
    "total": _one_of("true", "false"),
    "limit": {"type": "integer", "minimum": 1, "maximum": 500, "default": 50},
    "cursor": _TEXT,
}

#: endpoint (blueprint.function) -> what it takes and answers
OPERATIONS: Mapping[str, Operation] = {
    "alerts.many": Operation(query=_SEARCH, answers={200: AlertList}),
    "new_alerts.create": Operation(
        body=NewAlerts,
        headers={"Idempotency-Key": {"type": "string", "maxLength": 255}},
        answers={201: CreatedAlert, 200: KnownAlertOrResults},
    ),
    "alerts.one": Operation(answers={200: AlertDetail}),
    "alerts.change_status": Operation(body=StatusChange, headers={"If-Match": _TEXT}, answers={200: AlertDetail}),
    "alerts.add_note": Operation(body=NewNote, answers={201: AlertDetail}),
    "alerts.request_ticket": Operation(body=NewTicket, answers={200: Ticket, 202: Ticket}),
    "bulk.act": Operation(body=BulkAct, answers={200: BulkAnswer}),
    "actions.many": Operation(answers={200: Actions}),
    "actions.execute": Operation(
        body=ActionRequest,
        headers={"Idempotency-Key": {"type": "string", "maxLength": 255}},
        answers={202: RunShape},
    ),
    "actions.waiting": Operation(answers={200: Approvals}),
    "actions.answer": Operation(body=ApprovalAnswer, answers={200: RunShape}),
    "stats.show": Operation(query={"window": {"type": "string", "default": "7d"}}, answers={200: StatsShape}),
    "vendors.many": Operation(query={"days": _DAYS}, answers={200: VendorRecords}),
    "vendors.one": Operation(query={"days": _DAYS, "format": _TEXT}, answers={200: VendorRecordShape}),
    "rules.many": Operation(answers={200: Rules}),
    "rules.evaluate": Operation(body=Question, answers={200: Evaluated}),
    "verdicts.of_labels": Operation(query={"service": _TEXT}, answers={200: Trouble}),
    "verdicts.judge": Operation(body=NewVerdict, answers={200: Judged}),
    "changes.many": Operation(query={"service": _TEXT}, answers={200: Changes}),
    "changes.create": Operation(body=NewChange, answers={201: ChangeShape}),
    "heartbeats.many": Operation(answers={200: Heartbeats}),
    "heartbeats.hear": Operation(answers={200: HeardFrom}),
    "configuration.reload": Operation(body=NoKeys, answers={200: ReloadedConfiguration}),
    "silences.many": Operation(answers={200: Silences}),
    "silences.one": Operation(answers={200: SilenceShape}),
    "silences.create": Operation(body=NewSilence, answers={201: SilenceShape}),
    "silences.preview": Operation(body=NewSilence, answers={200: Previewed}),
    "silences.change": Operation(body=NewSilence, headers={"If-Match": _TEXT}, answers={200: SilenceShape}),
    "silences.end": Operation(answers={200: SilenceShape}),
    "parts.checkers": Operation(answers={200: Checkers}),
    "parts.check": Operation(answers={200: Checked}),
    "parts.destinations": Operation(answers={200: Destinations}),
    "deliveries.many": Operation(
        query={"state": _one_of(*DeliveryState, ""), "limit": _SEARCH["limit"], "cursor": _TEXT},
        answers={200: Deliveries},
    ),
    "parts.test": Operation(body=DestinationTest, answers={200: TrialShape}),
    "deliveries.retry": Operation(answers={200: Retried}),
    "deliveries.discard": Operation(answers={200: Discarded}),
    "dead_letters.many": Operation(answers={200: DeadLetters}),
    "dead_letters.requeue": Operation(answers={200: Requeued}),
    "quarantined.many": Operation(answers={200: Quarantine}),
    "quarantined.one": Operation(answers={200: QuarantinedDetail}),
    "quarantined.replay": Operation(answers={200: Replayed}),
    "quarantined.discard": Operation(answers={200: Discarded}),
}

"""The JSON shapes in which API and command line show actions and their runs. docs/actions.md shows them to people."""

from __future__ import annotations

from typing import Self

from pydantic import AwareDatetime, BaseModel

from service_event_checker import logs
from service_event_checker.core.actions import Mark, Policy, Run, State


class ApprovalShape(BaseModel):
    """Who approved a run, and when."""

    actor: str
    at: AwareDatetime


class RunShape(BaseModel):
    """One run of an action. `id` is what an approval names, `alert_id` the alert's internal ID.

    `needed`: how many people have to approve, of those in `approvers`. `why`: of its state. `output`: the tail of what
    the action wrote; of a dry run, what it would have done. `helped`: what was seen of the alert after a success.
    """

    id: str
    action_type: str
    alert_id: str
    parameters: dict[str, str]
    state: State
    why: str
    requested_by: str
    via: str
    requested_at: AwareDatetime
    expires_at: AwareDatetime
    needed: int
    approvers: list[str]
    approvals: list[ApprovalShape]
    started_at: AwareDatetime | None
    ended_at: AwareDatetime | None
    output: str
    helped: str

    @classmethod
    def of(cls, run: Run, state: State, policy: Policy | None) -> Self:
        request = run.request
        begun, ended, verified = (run.fact(mark) for mark in (Mark.BEGUN, Mark.ENDED, Mark.VERIFIED))
        last = ended or begun
        return cls(
            id=request.id,
            action_type=request.action,
            alert_id=request.internal_id,
            parameters=dict(request.parameters),
            state=state,
            why=logs.masked(last.why) if last else "",
            requested_by=request.by,
            via=request.via,
            requested_at=request.at,
            expires_at=request.expires_at,
            needed=policy.people if policy else 0,
            approvers=list(policy.by) if policy else [],
            approvals=[ApprovalShape(actor=each.actor, at=each.at) for each in run.approvals],
            started_at=begun.at if begun and begun.state is State.RUNNING else None,
            ended_at=last.at if last and state.final else None,
            output=logs.masked(last.output) if last else "",
            helped=verified.why if verified else "",
        )


class ActionShape(BaseModel):
    """A configured action: its parameters with their patterns, who approves, and its limits. `why_off`: "" if on."""

    action_type: str
    parameters: dict[str, str]
    needed: int
    approvers: list[str]
    cooldown_seconds: float
    per_day: int
    why_off: str

    @classmethod
    def of(cls, policy: Policy) -> Self:
        return cls(
            action_type=policy.name,
            parameters=dict(policy.patterns),
            needed=policy.people,
            approvers=list(policy.by),
            cooldown_seconds=policy.cooldown.total_seconds(),
            per_day=policy.per_day,
            why_off=policy.why_off,
        )

"""Requests, approves, starts and follows the runs of declared actions. The only place that starts one.

A start is durable before anything happens: first its place in the budget, then the fact that it has begun, then its row
of the audit. If the process dies after that, the run is "unknown" and is never started again.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import structlog

from service_event_checker.core import actions, routing
from service_event_checker.core.actions import (
    Ended,
    Fact,
    Identity,
    Mark,
    Next,
    Person,
    Policy,
    Request,
    Run,
    State,
)
from service_event_checker.core.errors import InvalidInput, OutageCheckerError
from service_event_checker.core.model import Alert
from service_event_checker.core.ports import Action
from service_event_checker.core.replacing import replace
from service_event_checker.core.vocabulary import Verb, Why
from service_event_checker.engine import slot_owner
from service_event_checker.engine.actions.records import Records
from service_event_checker.engine.pipeline import Pipeline

CONFLICTS_MAX = 20
NOTES_REMEMBERED = 30
NOTE_OUTPUT_MAX = 500  # characters of the output that people are sent

log = structlog.get_logger()


class NotAllowed(OutageCheckerError):
    """This person may not answer for the action."""


class NotNow(OutageCheckerError):
    """The state of a run, its alert or its budget does not allow it; `run` is None where none was made."""

    def __init__(self, message: str, run: Run | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.run = run


class Runs:
    """Safe to call from several threads and processes. Its methods raise StoreError: repeat them then.

    `runners`: what does each action, by name; one that is off has none. `clock` gives aware UTC.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        policies: Mapping[str, Policy],
        runners: Mapping[str, Action],
        people: Sequence[Person] = (),
        *,
        clock: Callable[[], datetime],
    ) -> None:
        self.policies = policies
        self.runners = runners
        self.people = people
        self._pipeline = pipeline
        self._store = pipeline.store
        self._clock = clock
        self.records = Records(self._store)

    def check(self, action: str, parameters: Mapping[str, object]) -> dict[str, str]:
        """Return the parameters as text. Raises InvalidInput for what is not declared, and where the action is off."""
        policy = self.policies.get(action)
        if policy is None:
            hint = f"Configured: {', '.join(sorted(self.policies))}" if self.policies else "No action is configured"
            raise InvalidInput("action_type", "is not a configured action", hint)
        if policy.why_off:
            raise InvalidInput("action_type", f"{action} is off: {policy.why_off}")
        values = actions.check_parameters(policy, parameters)
        self.runners[action].check(values)
        return values

    def request(
        self,
        alert: Alert,
        action: str,
        parameters: Mapping[str, object],
        *,
        by: str,
        via: str,
        now: datetime,
        id: str = "",
    ) -> Run:
        """Have an action run for an alert, as soon as it is approved. The same `id` twice is one run.

        Raises InvalidInput (see `check`) and NotNow where the alert is over or the budget is used up.
        """
        values = self.check(action, parameters)
        policy = self.policies[action]
        known = self.records.find(id) if id else None
        if known and known.fact(Mark.BEGUN):
            return known
        request = known.request if known else _request(alert, policy, values, by, via, now, id or uuid.uuid4().hex[:16])
        if known is None:
            self._refuse_at_once(alert, policy, request, now)
            self._audit(request, by, "requested", now, via=via, does=self.runners[action].describe(values))
        self.records.add(request)
        run = known or Run(request=request)
        found = actions.decide(run, policy, alert, self.people, now)
        self._tell_request(request, policy, found, now)
        return run if found.state in (State.WAITING, State.READY) else self._close(run, found, "", now)

    def _refuse_at_once(self, alert: Alert, policy: Policy, request: Request, now: datetime) -> None:
        """Raise NotNow for what could not start now, so that nobody approves it in vain."""
        if not alert.open:
            raise NotNow(f"{alert.internal_id} is over. Actions run only for open alerts.")
        over = self.records.exceeded(policy, request, now)
        if over and not over.waits and not (alert.test or policy.dry_run):
            self._audit(request, request.by, "not requested", now, why=over.why)
            raise NotNow(f"{policy.name} may not run now: {over.why}.")

    def answer(self, run: Run, who: Identity, actor: str, *, approve: bool, now: datetime) -> Run:
        """Take a person's answer: the same one twice is one. Raises NotAllowed and NotNow."""
        request, policy = run.request, self.policies.get(run.request.action)
        state = actions.state_of(run, policy, self.people)
        if run.fact(Mark.BEGUN) or policy is None:
            raise NotNow(f"{request.action} does not wait for an answer any more: it is {state}.", run)
        if not policy.people:
            raise NotNow(f"{request.action} needs no approval.", run)
        if not actions.may_approve(who, policy.by, self.people):
            log.warning("action_answer_not_allowed", action=request.action, run=request.id, actor=actor)
            raise NotAllowed(f"You may not answer for {request.action}: its approval names other people.")
        found = actions.decide(run, policy, self._alert(request), self.people, now)
        if found.state not in (State.WAITING, State.READY):
            raise NotNow(f"Nothing was answered: {found.why}.", self._close(run, found, "", now))
        if not approve:
            self._audit(request, actor, "refused", now, who=str(who))
            return self._close(run, Next(State.REFUSED, f"refused by {actor}"), actor, now)
        if str(who) not in {each.who for each in run.approvals}:
            self._audit(request, actor, "approved", now, who=str(who), digest=request.digest)
            fact = Fact(mark=Mark.APPROVED, at=now, actor=actor, who=str(who))
            self.records.record(request.id, fact)
            self._note(request, f"{title(request)} was approved.", f"approved {who}", actor, now, loud=False)
        return self.records.find(request.id) or run

    def step(self, id: str) -> None:
        """Do what is to be done for a run now: close it, start it, or look what became of it. Repeatable."""
        run = self.records.find(id)
        if run is None:
            self.records.close(id)
        elif run.fact(Mark.ENDED):
            self._after(run, self._clock())
        elif begun := run.fact(Mark.BEGUN):
            self._follow(run, begun, self._clock())
        else:
            self._begin(run, self._clock())

    def _begin(self, run: Run, now: datetime) -> None:
        request, policy = run.request, self.policies.get(run.request.action)
        found = actions.decide(run, policy, self._alert(request), self.people, now)
        if found.state is State.WAITING:
            return
        if found.state is not State.READY or policy is None:
            self._close(run, found, "", now)
            return
        exceeded = self.records.reserve(policy, request, now)
        if exceeded is None:
            self._start(run, policy, now)
        elif not exceeded.waits:
            self._close(run, Next(State.DROPPED, exceeded.why), "", now)

    def _start(self, run: Run, policy: Policy, now: datetime) -> None:
        request, runner = run.request, self.runners[run.request.action]
        begun = Fact(mark=Mark.BEGUN, at=now, owner=slot_owner.new_owner(), until=now + actions.lease(policy))
        if not self.records.record(request.id, begun):
            return  # refused, or started by another worker, a moment ago
        approvers = [each.who for each in run.approvals]
        does = runner.describe(request.parameters)
        self._audit(request, request.by, "started", now, approved_by=approvers, does=does)
        log.info("action_started", action=request.action, run=request.id, id=request.internal_id)
        self._note(request, f"{title(request)} was started: {does}", "started", request.by, now, loud=False)
        try:
            ended = runner.run(request.parameters)
        except Exception:  # noqa: BLE001  # an action's bug must leave a result, and stop no other
            log.exception("action_crashed", action=request.action, run=request.id)
            ended = Ended(state=State.UNKNOWN, why="internal error")
        self._end(run, ended, self._clock())
        self.records.free(policy, request.id, self._clock())

    def _follow(self, run: Run, begun: Fact, now: datetime) -> None:
        """Look at a run that was started: where its process is gone, or its time is over, nobody saw its end."""
        if begun.state is not State.RUNNING:
            self._tell_closed(run, begun, now)
            self.records.close(run.request.id)
        elif slot_owner.is_gone(begun.owner) or (begun.until and now > begun.until):
            why = "its process was ended while it ran, so look what it has done. It is not repeated"
            self._end(run, Ended(state=State.UNKNOWN, why=why), now)

    def _end(self, run: Run, ended: Ended, now: datetime) -> None:
        request = run.request
        fact = Fact(mark=Mark.ENDED, at=now, state=ended.state, why=ended.why, output=ended.output)
        first = self.records.record(request.id, fact)
        said = "ended" if first else "ended late"
        self._audit(request, request.action, said, now, state=ended.state, why=ended.why, output=ended.output)
        log.info("action_ended", action=request.action, run=request.id, state=ended.state.value, why=ended.why)
        if first:
            self._after(replace(run, facts=(*run.facts, fact)), now)

    def _after(self, run: Run, now: datetime) -> None:
        """Tell of a run's end, and later whether it helped; close it then."""
        request, ended = run.request, run.fact(Mark.ENDED)
        if ended is None:
            return
        tail = f"\n{ended.output.strip()[-NOTE_OUTPUT_MAX:]}" if ended.output.strip() else ""
        text = f"{title(request)} {_ENDS[ended.state]}: {ended.why}.{tail}"
        self._note(request, text, "ended", f"action {request.action}", now)
        policy = self.policies.get(request.action)
        if policy and policy.verify and ended.state is State.SUCCEEDED:
            said = actions.verdict(run, self._alert(request), policy.verify, now)
            if not said:
                return
            if self.records.record(request.id, Fact(mark=Mark.VERIFIED, at=now, why=said)):
                self._audit(request, request.action, "verified", now, why=said)
            self._note(request, f"After {title(request)}: {said}.", "verified", f"action {request.action}", now)
        self.records.close(request.id)

    def _close(self, run: Run, found: Next, actor: str, now: datetime) -> Run:
        """Record why a run will never start, unless it has just been started; return it as it is then."""
        request = run.request
        runner = self.runners.get(request.action)
        dry = runner.describe(request.parameters) if runner and found.state is State.DRY_RUN else ""
        fact = Fact(mark=Mark.BEGUN, at=now, state=found.state, why=found.why, actor=actor, output=dry)
        if not self.records.record(request.id, fact):
            return self.records.find(request.id) or run
        if found.state is not State.REFUSED:
            self._audit(request, request.action, "closed", now, state=found.state, why=found.why)
        log.info("action_closed", action=request.action, run=request.id, state=found.state.value, why=found.why)
        self._tell_closed(run, fact, now)
        self.records.close(request.id)
        return replace(run, facts=(*run.facts, fact))

    def _tell_closed(self, run: Run, fact: Fact, now: datetime) -> None:
        dry = f": {fact.output}" if fact.output else ""
        text = f"{title(run.request)} does not run ({fact.state}): {fact.why}{dry}."
        self._note(run.request, text, "closed", fact.actor or f"action {run.request.action}", now)

    def _tell_request(self, request: Request, policy: Policy, found: Next, now: datetime) -> None:
        if found.state is State.WAITING:
            until = f"{request.expires_at:%H:%M} UTC"
            text = f"{title(request)} waits until {until} for its approval by {policy.people} of {', '.join(policy.by)}"
            how = f"/Approve {request.id} or /Refuse {request.id} in Slack, or POST /api/v1/approvals/{request.id}"
            self._note(request, f"{text}: {how}.", actions.ASKED, request.by, now)
        elif found.state is State.READY:
            self._note(request, f"{title(request)} was requested.", "requested", request.by, now, loud=False)

    def _note(self, request: Request, text: str, what: str, actor: str, now: datetime, *, loud: bool = True) -> None:
        """Put a row on the alert's timeline, once; `loud`: its receivers are sent it as well."""
        note_id = actions.note_id(request.id, what)
        for _ in range(CONFLICTS_MAX):
            alert = self._alert(request)
            if alert is None or alert.episode != request.episode or note_id in alert.note_ids:
                return
            ours = [id for id in alert.note_ids if id.startswith(actions.NOTE)][-NOTES_REMEMBERED:]
            others = [id for id in alert.note_ids if not id.startswith(actions.NOTE)]
            changed = replace(alert, note_ids=(*others, *ours, note_id), updated_at=max(now, alert.updated_at))
            step = replace(
                routing.make_transition(alert, Why.ACTION, now, receiver=""),
                actor=actor,
                note=text,
                note_id=note_id,
                verbs=(Verb.NOTE,) if loud else (),
            )
            write = routing.route(changed, (step,), self._pipeline.book_at(now), now)
            if self._pipeline.commit(write, now):
                return

    def _alert(self, request: Request) -> Alert | None:
        return self._store.get([request.key]).get(request.key)

    def _audit(self, request: Request, actor: str, said: str, now: datetime, **more: Any) -> None:
        what = {
            "action": request.action,
            "event": said,
            "run": request.id,
            "alert": request.internal_id,
            "parameters": dict(request.parameters),
            "revision": request.revision,
            **more,
        }
        self._store.audit.append(actor, what, now)


def _request(
    alert: Alert, policy: Policy, values: Mapping[str, str], by: str, via: str, now: datetime, id: str
) -> Request:
    return Request(
        id=id,
        action=policy.name,
        parameters=values,
        subject=actions.subject_of(policy, values),
        key=alert.key,
        episode=alert.episode,
        internal_id=alert.internal_id,
        revision=alert.revision,
        digest=actions.digest_of(policy, values, alert),
        by=by,
        via=via,
        at=now,
        expires_at=now + policy.expires,
    )


_ENDS = {State.SUCCEEDED: "succeeded", State.FAILED: "failed", State.UNKNOWN: "has an unknown result"}


def title(request: Request) -> str:
    """Return an action with its parameters, for people."""
    values = ", ".join(f"{name}={value}" for name, value in sorted(request.parameters.items()))
    return f"{request.action} ({values})" if values else request.action

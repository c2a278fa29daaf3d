"""The runs of an alert as API, page and command line show them."""

from __future__ import annotations

from service_event_checker.core.actions import Run, state_of
from service_event_checker.core.model import Alert
from service_event_checker.engine.actions.runs import Runs
from service_event_checker.render.runs import RunShape


def shown(runs: Runs, run: Run) -> RunShape:
    """Return a run as people see it."""
    policy = runs.policies.get(run.request.action)
    return RunShape.of(run, state_of(run, policy, runs.people), policy)


def shown_runs(runs: Runs, alert: Alert) -> list[RunShape]:
    """Return the latest runs of an alert's episode, the newest first. Raises StoreError."""
    found = runs.records.of_alert(alert.key) if runs.policies else []
    return [shown(runs, run) for run in found if run.request.episode == alert.episode]

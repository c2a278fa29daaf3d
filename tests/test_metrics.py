"""The values that metrics show: what dashboards were built on stays, whatever the code calls it."""

from __future__ import annotations

import pytest

from service_event_checker.core.reconcile import Fix
from service_event_checker.core.vocabulary import Why
from service_event_checker.metrics import label


@pytest.mark.parametrize(
    ("member", "value"),
    [
        (Fix.DUPLICATE, "twice"),
        (Fix.REOPENED_REMOTELY, "taken_up"),
        (Fix.REOPENED_AFTER_END, "reopened"),
        (Fix.ENDED, "ended"),
        (Why.SEVERITY_RAISED, "worsened"),
        (Why.SEVERITY_LOWERED, "eased"),
    ],
)
def test_a_renamed_member_keeps_its_value_in_the_metrics(member: Fix | Why, value: str) -> None:
    assert label(member) == value

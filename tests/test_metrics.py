"""The values that metrics show: what dashboards were built on stays, whatever the code calls it."""

from __future__ import annotations

import pytest

from service_event_checker.core.reconcile import Fix
from service_event_checker.metrics import label


@pytest.mark.parametrize(
    ("member", "value"),
    [
        (Fix.DUPLICATE, "twice"),
        (Fix.REOPENED_REMOTELY, "taken_up"),
        (Fix.REOPENED_AFTER_END, "reopened"),
        (Fix.ENDED, "ended"),
    ],
)
def test_a_renamed_member_keeps_its_value_in_the_metrics(member: Fix, value: str) -> None:
    assert label(member) == value

"""The tests' own order: its names are those of the tests, and what belongs together stays so."""

from __future__ import annotations

import pytest

from tests.order import LONG, unit
from tests.root import ROOT


def test_what_has_a_place_is_there() -> None:
    assert [name for name in LONG if not (ROOT / name).exists()] == []


@pytest.mark.parametrize(
    ("nodeid", "together"),
    [
        ("tests/destinations/redmine/test_adapter.py::test_a", "redmine"),
        ("tests/real/test_redmine.py::test_a", "redmine"),
        ("tests/chaos/test_alert_chain.py::test_a", "redmine"),
        ("tests/destinations/test_contract.py::test_a[redmine-500]", "redmine"),
        ("tests/chaos/test_pager_bridge.py::test_a[row]", "pager bridge"),
        ("tests/real/test_webhooks.py::test_a", "webhooks"),
    ],
)
def test_what_needs_a_slow_server_is_one_unit(nodeid: str, together: str) -> None:
    assert unit(nodeid) == together


@pytest.mark.parametrize(
    "nodeid", ["tests/core/test_clean.py::test_a", "tests/destinations/test_contract.py::test_a[jira]"]
)
def test_any_other_test_is_a_unit_of_its_own(nodeid: str) -> None:
    assert unit(nodeid) == nodeid

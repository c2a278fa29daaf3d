"""A name that is one letter off is recognised, a name of its own is left alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service_event_checker.config.spelling import one_off, similar
from tests.strategies import REPEATABLE

KNOWN = ("severity", "alertname", "team", "kubernetes_namespace")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("severty", "severity"),
        ("severitty", "severity"),
        ("sevarity", "severity"),
        ("sevreity", "severity"),
        ("SEVERITY", "severity"),
        ("tema", "team"),
        ("kubernets_namespaces", "kubernetes_namespace"),
        ("severity", ""),
        ("security", ""),
        ("tea", ""),
        ("pod", ""),
        ("", ""),
    ],
)
def test_one_letter_changed_added_lost_or_two_swapped(written: str, meant: str) -> None:
    assert one_off(written, KNOWN) == meant


def test_names_that_are_alike_by_a_word_are_similar() -> None:
    assert similar("REDMINE_KEY", ["REDMINE_API_KEY", "REDMINE_URL"]) == "REDMINE_API_KEY"
    assert similar("PATH", ["PORT", "REDMINE_URL"]) == ""


@REPEATABLE
@given(st.text(alphabet="abcd", min_size=4, max_size=8), st.data())
def test_every_name_with_one_letter_replaced_is_found(name: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(name) - 1))
    wrong = f"{name[:place]}{data.draw(st.sampled_from('xyz'))}{name[place + 1 :]}"

    assert one_off(wrong, [name]) == name

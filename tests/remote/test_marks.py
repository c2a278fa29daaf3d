"""By what our objects and comments are known again: keys for queries, and signatures."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service_event_checker.core.errors import DeliveryError
from service_event_checker.core.ids import remote_key
from service_event_checker.remote.marks import (
    KEY_TAG,
    checked,
    ends_signed,
    is_key,
    is_signed,
    marker,
    signature,
    signed,
    tag,
    tagged_key,
)
from tests.factories import alert

OURS = signature(marker("a:1:1:jira:open"))


def test_our_keys_may_stand_in_a_query():
    assert checked(alert().key) == alert().key
    assert checked(remote_key(alert().key, 2)) == remote_key(alert().key, 2)


@pytest.mark.parametrize(
    "text", ["", "a" * 19, "a" * 21, "A" * 20, "g" * 20, "a" * 20 + "\n", "٠" * 20, "a' OR '1'='1a2b3"]
)
def test_nothing_else_may(text):
    assert not is_key(text)
    with pytest.raises(DeliveryError) as refusal:
        checked(text)
    assert refusal.value.permanent


@given(st.text())
def test_a_key_is_read_from_its_tag_and_from_nothing_else(text):
    assert tagged_key(tag(alert().key)) == alert().key
    assert tagged_key(text) == (text.removeprefix(KEY_TAG) if re.fullmatch(r"poc-[0-9a-f]{20}", text) else "")
    assert tagged_key(alert().key) == tagged_key(f"{tag(alert().key)}0") == ""


@given(st.text(), st.integers(100, 500))
def test_a_comment_is_cut_before_its_signature(text, limit):
    comment = signed(text, marker("cause"), limit, "\n({})")

    assert len(comment) <= limit
    assert ends_signed(comment)


@given(st.text(), st.text())
def test_each_cause_has_a_marker_of_its_own(one, other):
    assert (marker(one) == marker(other)) == (one == other)


@pytest.mark.parametrize("text", [OURS, f"over\n\n{OURS}", f"{'x' * 9999}\n{OURS}", f"over\n({OURS})\n "])
def test_a_comment_of_ours_is_signed_at_its_end(text):
    assert is_signed(text)
    assert ends_signed(text)


@pytest.mark.parametrize("text", [f"> {OURS}\nI am on it", f"{OURS} thanks", f"{OURS}\n" + "x" * 500])
def test_who_writes_below_a_quotation_of_it_is_a_person(text):
    assert is_signed(text)
    assert not ends_signed(text)


@pytest.mark.parametrize("text", ["", "Platform Outage Checker", "Platform Outage Checker 0123", f"{OURS[:-1]}"])
def test_what_only_looks_like_it_is_no_signature(text):
    assert not is_signed(text)
    assert not ends_signed(text)

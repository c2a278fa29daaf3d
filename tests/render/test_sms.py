"""The text of an SMS: within its segments, with the internal id, in the cheap alphabet where it can be."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service_event_checker.core.vocabulary import ResolvedBy, Status, Verb
from service_event_checker.render.sms import segments, text_of, units
from tests.factories import NOW, alert, delivery
from tests.strategies import REPEATABLE


@pytest.mark.parametrize(
    ("text", "length", "gsm", "parts"),
    [
        ("a" * 160, 160, True, 1),
        ("a" * 161, 161, True, 2),
        ("a" * 306, 306, True, 2),
        ("a" * 307, 307, True, 3),
        ("€" * 80, 160, True, 1),
        ("€" * 81, 162, True, 2),
        ("é" * 160, 160, True, 1),
        ("中" * 70, 70, False, 1),
        ("中" * 71, 71, False, 2),
        ("🔥" * 35, 70, False, 1),
        ("a" * 159 + "中", 160, False, 3),
        ("", 0, True, 1),
    ],
)
def test_a_text_is_counted_as_it_is_sent(text, length, gsm, parts):
    assert units(text) == (length, gsm)
    assert segments(text) == parts


def test_it_says_what_the_internal_id_and_the_link():
    about = alert()

    text = text_of(delivery(about), about, NOW, 2)

    assert text.startswith("ERROR: ")
    assert "Disruption with some GitHub services" in text
    assert text.endswith(f"{about.internal_id} {about.url}")
    assert segments(text) == 1


def test_the_end_says_how_long_it_took():
    over = replace(alert(), status=Status.RESOLVED, ended_at=NOW + timedelta(minutes=42), resolved_by=ResolvedBy.SOURCE)

    assert text_of(delivery(over, Verb.CLOSE), over, NOW, 2).startswith("Resolved after 42 min")


def test_signs_outside_of_the_cheap_alphabet_are_replaced_by_plain_ones():
    about = alert(title="Latency – “checkout” · db…")

    text = text_of(delivery(about), about, NOW, 1)

    assert 'Latency - "checkout" - db...' in text
    assert units(text)[1]


@REPEATABLE
@given(
    title=st.text(max_size=300) | st.text(alphabet="中文 🔥", max_size=300),
    url=st.sampled_from(["", "https://x.example/" + "y" * 90, "https://x.example/" + "y" * 500]),
    most=st.integers(min_value=1, max_value=6),
)
def test_it_is_within_its_segments_and_names_the_alert_whatever_the_title(title, url, most):
    about = alert(title=title, url=url)

    text = text_of(delivery(about), about, NOW, most)

    assert segments(text) <= most
    assert about.internal_id in text
    assert "\n" not in text

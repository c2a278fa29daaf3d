"""Whatever a sender writes becomes storable, and what has no identity is refused."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given

from service_event_checker.core.clean import LABEL_MAX, LABELS_MAX, NAME_MAX, SOURCE_MAX, TEXT_MAX, TITLE_MAX, clean
from service_event_checker.core.errors import InvalidInput
from service_event_checker.core.model import FINGERPRINT_MAX, POSTS_MAX, Event, Post
from tests.factories import NOW, event
from tests.strategies import REPEATABLE, wild_events


def test_an_ordinary_event_stays_as_it_is() -> None:
    assert clean(event()) == event()


@given(wild_events)
def test_what_is_clean_stays_as_it_is_and_is_not_made_anew(told: Event) -> None:
    try:
        once = clean(told)
    except InvalidInput:
        return

    assert clean(once) == once
    assert clean(replace(once, title=f" {once.title}")) == once
    sorted_once = replace(once, labels=dict(sorted(once.labels.items())), annotations={})
    assert clean(sorted_once) is sorted_once


def test_nul_and_lone_surrogates_are_taken_out_everywhere() -> None:
    bad = {"a\0\ud800": "b\0\udfff"}

    cleaned = clean(
        event(title="a\0b\ud800", description="\0", labels=bad, annotations=bad, actor="A\0", note="\ud800")
    )

    assert (cleaned.title, cleaned.description, cleaned.actor, cleaned.note) == ("ab?", "", "A", "?")
    assert cleaned.labels == cleaned.annotations == {"a?": "b?"}


def test_a_title_is_one_line() -> None:
    assert clean(event(title="  Disruption\n with \0 Actions\t ")).title == "Disruption with Actions"


def test_lines_of_a_description_stay() -> None:
    assert clean(event(description="one\ntwo")).description == "one\ntwo"


@pytest.mark.parametrize(
    ("field", "limit"),
    [("title", TITLE_MAX), ("description", TEXT_MAX), ("note", TEXT_MAX), ("actor", NAME_MAX), ("note_id", NAME_MAX)],
)
def test_endless_text_is_cut_visibly(field: str, limit: int) -> None:
    cut = getattr(clean(event(**{field: "x" * (limit + 1)})), field)

    assert cut == "x" * (limit - 1) + "…"
    assert getattr(clean(event(**{field: "x" * limit})), field) == "x" * limit


def test_labels_are_cut_in_number_and_in_length() -> None:
    labels = {f"{number:03}": "v" for number in range(LABELS_MAX + 5)} | {"0": "v" * (LABEL_MAX + 1), "1" * 300: "v"}

    cleaned = clean(event(labels=labels)).labels

    assert len(cleaned) == LABELS_MAX
    assert max(map(len, cleaned.values())) == LABEL_MAX
    assert max(map(len, cleaned)) <= NAME_MAX


@pytest.mark.parametrize(
    "sentinel",
    [
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(1970, 1, 1, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC),
        datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-5))),
        datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=5))),
    ],
    ids=str,
)
def test_the_times_that_vendors_write_for_no_time_are_none(sentinel: datetime) -> None:
    cleaned = clean(event(at=sentinel, starts_at=sentinel))

    assert (cleaned.at, cleaned.starts_at) == (None, None)


def test_planned_work_that_would_end_before_it_begins_has_no_planned_end() -> None:
    assert clean(event(ends_at=NOW)).ends_at is None
    assert clean(event(ends_at=NOW + timedelta(hours=1))).ends_at == NOW + timedelta(hours=1)
    assert clean(event(starts_at=None, ends_at=NOW)).ends_at == NOW


def test_times_are_utc() -> None:
    cleaned = clean(event(at=NOW.astimezone(timezone(timedelta(hours=9)))))

    assert cleaned.at == NOW
    assert cleaned.at is not None
    assert cleaned.at.tzinfo is UTC


@pytest.mark.parametrize("url", ["javascript:alert(1)", "ftp://x", "//x", "x", ""])
def test_only_web_addresses_stay(url: str) -> None:
    assert clean(event(url=url)).url == ""


@pytest.mark.parametrize("url", ["https://x/y?z#a", "http://x", "HTTPS://x"])
def test_web_addresses_stay(url: str) -> None:
    assert clean(event(url=url)).url == url


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("source", ""),
        ("source", "\0"),
        ("source", "x" * (SOURCE_MAX + 1)),
        ("fingerprint", ""),
        ("fingerprint", "\0\0"),
        ("fingerprint", "x" * (FINGERPRINT_MAX + 1)),
    ],
)
def test_without_an_identity_it_is_refused(field: str, value: str) -> None:
    """A cut identity would be another's; so it is refused, not cut."""
    with pytest.raises(InvalidInput) as refused:
        clean(event(**{field: value}))

    assert refused.value.where == field
    assert refused.value.hint


@pytest.mark.parametrize("fingerprint", ["33f2ec9bd4827a1v", "Pipelines:US", "障害", "x" * FINGERPRINT_MAX, " x "])
def test_a_fingerprint_is_opaque(fingerprint: str) -> None:
    assert clean(event(fingerprint=fingerprint)).fingerprint == fingerprint


@REPEATABLE
@given(wild_events)
def test_the_result_can_always_be_stored_and_sent_and_cleaning_it_again_changes_nothing(wild: Event) -> None:
    try:
        cleaned = clean(wild)
    except InvalidInput:
        return

    texts = [getattr(cleaned, field.name) for field in fields(cleaned)]
    plain = [value for value in texts if isinstance(value, str | dict)]
    json.dumps(plain, ensure_ascii=False).encode("utf-8")
    assert "\\u0000" not in json.dumps(plain)
    assert clean(cleaned) == cleaned


def test_an_address_is_whole_or_absent() -> None:
    fits, long = ("https://x/" + "y" * (length - 10) for length in (LABEL_MAX, LABEL_MAX + 1))

    cleaned = clean(event(url=long, labels={"dashboard": fits, "runbook": long, "text": "see " + long}))

    assert cleaned.url == ""
    assert (cleaned.labels["dashboard"], "runbook" in cleaned.labels) == (fits, False)
    assert len(cleaned.labels["text"]) == LABEL_MAX
    assert clean(event(url=fits)).url == fits


def test_what_a_source_wrote_is_cut_and_made_storable() -> None:
    odd = Post(at=NOW, state="x" * 1000, text="\0" + "y" * 10_000)

    (kept,) = clean(event(posts=(odd,), states={"API": "down\0"}, posted_at=NOW)).posts

    assert len(kept.state) < 1000
    assert len(kept.text) <= LABEL_MAX
    assert "\0" not in kept.text
    assert clean(event(posts=(odd,) * (POSTS_MAX + 1))).posts == (kept,) * POSTS_MAX

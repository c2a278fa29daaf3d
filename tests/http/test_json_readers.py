"""Two readers of JSON: what we ask vendors for is read leniently, what is sent to us strictly."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service_event_checker.core.errors import InvalidInput, Reason
from service_event_checker.http import json_reader, strict_json
from service_event_checker.http.answer import HttpError, parse_json


def nested(levels: int) -> bytes:
    return b"[" * levels + b"]" * levels


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'{"a": 1, "a": 2}', {"a": 2}),
        (b"[1e999]", [float("inf")]),
        ('{"a": "\u00e9"}'.encode("utf-16"), {"a": "\u00e9"}),
        (nested(64), json.loads(nested(64))),
    ],
    ids=["a name twice", "too large a number", "utf-16", "64 levels"],
)
def test_what_a_vendor_may_answer_nobody_may_send_to_us(body: bytes, value: object) -> None:
    assert parse_json(body) == value
    with pytest.raises(InvalidInput):
        strict_json.read(body)


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[NaN]", b"[-Infinity]", b"\xff\xfe\xfd", b"[" * 99_999, nested(65), b"[" + b"9" * 5000 + b"]"],
    ids=["empty", "half", "NaN", "infinity", "no text", "open brackets", "65 levels", "5000 digits"],
)
def test_what_is_not_json_is_refused_by_both(body: bytes) -> None:
    with pytest.raises(HttpError) as raised:
        parse_json(body)
    with pytest.raises(InvalidInput):
        strict_json.read(body)

    assert raised.value.reason is Reason.GARBAGE


def test_both_say_what_is_wrong() -> None:
    with pytest.raises(HttpError, match="the body is nested deeper than 64 levels"):
        parse_json(nested(65))
    with pytest.raises(InvalidInput, match="body: is nested deeper than 32 levels"):
        strict_json.read(nested(33))
    with pytest.raises(InvalidInput, match="body: holds NaN, which JSON does not know"):
        strict_json.read(b"[NaN]")


@pytest.mark.parametrize("body", [b"[" + b"[]," * 400_000, b"[" + b"1," * 800_000], ids=["lists", "numbers"])
def test_what_holds_too_many_values_is_refused_before_anything_is_built(body: bytes) -> None:
    """Building it would take over 30 MB, and fail only at the end, where the bracket is missing."""
    tracemalloc.start()
    try:
        with pytest.raises(InvalidInput, match="holds more than 750000 values"):
            strict_json.read(body)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < 8 * len(body)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(alphabet=st.sampled_from('"\\[]{},:aé\n'), max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=30,
)


@given(JSON, st.booleans())
def test_brackets_and_quotes_in_strings_count_for_nothing(value: Any, ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only)
    body = text.encode("utf-8", "replace")
    depth = depth_of(value)

    assert json_reader.parse(body, depth=depth, encoding="utf-8") == json.loads(body)
    if depth:
        with pytest.raises(json_reader.NotJson, match=f"deeper than {depth - 1} levels"):
            json_reader.parse(body, depth=depth - 1, encoding="utf-8")


def depth_of(value: Any) -> int:
    if not isinstance(value, list | dict):
        return 0
    children = value.values() if isinstance(value, dict) else value
    return 1 + max(map(depth_of, children), default=0)


def test_half_a_surrogate_pair_is_replaced_in_what_is_sent_to_us() -> None:
    assert strict_json.read(rb'{"a\ud800": ["\udfff"]}') == {"a?": ["?"]}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_half_a_surrogate_pair_is_replaced_in_what_a_vendor_answers(encoding: str) -> None:
    """Some cut texts in the middle of a character; a delivery that failed with such a text could not be settled."""
    body = json.dumps({"errors": "too long: \ud83d"}).encode(encoding)

    assert parse_json(body) == {"errors": "too long: ?"}

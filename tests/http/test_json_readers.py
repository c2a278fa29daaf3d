"""Two readers of JSON: what we ask vendors for is read leniently, what is sent to us strictly."""

from __future__ import annotations

import json

import pytest

from service_event_checker.core.errors import InvalidInput, Reason
from service_event_checker.http import strict_json
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


def test_half_a_surrogate_pair_is_replaced_in_what_is_sent_to_us() -> None:
    assert strict_json.read(rb'{"a\ud800": ["\udfff"]}') == {"a?": ["?"]}

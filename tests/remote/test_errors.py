"""What an error answer means for a delivery."""

from __future__ import annotations

import time

import pytest

from service_event_checker.core.errors import Reason
from service_event_checker.http.answer import HttpError
from service_event_checker.remote.errors import WORDS_MAX, body_of, delivery_error, pause, words


def answered(status: int | None, reason: Reason, body: bytes = b"", retry_after: float | None = None) -> HttpError:
    return HttpError(reason, "https://x.example", status=status, body=body, retry_after=retry_after)


@pytest.mark.parametrize(
    ("status", "reason", "permanent"),
    [
        (400, Reason.REFUSED, True),
        (404, Reason.NOT_FOUND, True),
        (422, Reason.REFUSED, True),
        (401, Reason.UNAUTHORIZED, False),
        (429, Reason.RATE_LIMITED, False),
        (408, Reason.TIMEOUT, False),
        (500, Reason.SERVER_ERROR, False),
        (200, Reason.TOO_LARGE, False),
        (None, Reason.REFUSED, False),
        (None, Reason.UNREACHABLE, False),
    ],
)
def test_only_what_the_system_itself_refuses_is_permanent(status, reason, permanent):
    error = delivery_error(answered(status, reason))

    assert (error.reason, error.permanent) == (reason, permanent)


def test_its_own_words_come_after_the_status():
    assert delivery_error(answered(400, Reason.REFUSED), "no such field").detail == "https://x.example: no such field"


def test_a_pause_of_our_own_counts_after_a_429_without_one_of_theirs():
    assert delivery_error(answered(429, Reason.RATE_LIMITED), pause=10).retry_after == 10
    assert delivery_error(answered(429, Reason.RATE_LIMITED, retry_after=3), pause=10).retry_after == 3
    assert delivery_error(answered(503, Reason.SERVER_ERROR), pause=10).retry_after is None


@pytest.mark.parametrize("body", [b"", b"{", b"<html>", b"[1]", b"null", b"\xff"])
def test_a_body_that_is_no_object_says_nothing(body):
    assert body_of(answered(500, Reason.SERVER_ERROR, body)) == {}


def test_words_are_one_line_without_our_secrets():
    said = words(["bad\n  key", None, 7, "", "s3cret is wrong"], ["s3cret", ""])

    assert said == "bad key: *** is wrong"
    assert len(words(["x" * 1000], [])) == WORDS_MAX


@pytest.mark.parametrize(
    ("headers", "wanted"),
    [
        ({"reset": "37"}, 37.0),
        ({"reset": " 0.5 "}, 0.5),
        ({"reset": "99999"}, 3600.0),
        ({}, None),
    ]
    + [({"reset": odd}, None) for odd in ("0", "", "-5", "soon", "nan", "1e9", "٣", "9" * 400)],
)
def test_a_header_may_count_the_seconds(headers, wanted):
    assert pause(headers, seconds="reset") == wanted


def test_a_header_may_tell_when_it_is_over():
    assert pause({"at": str(int(time.time()) + 60)}, until="at") == pytest.approx(60, abs=2)
    assert pause({"at": str(int(time.time()) - 60)}, until="at") is None
    assert pause({"at": str(int(time.time()) + 86400)}, until="at") == 3600.0

"""Signatures of webhooks."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from pydantic import SecretStr

from service_event_checker.remote.signature import header, is_proof, proof

BODY = b'{"event": 1}'
RIGHT = hmac.new(b"s3cret", BODY, hashlib.sha256).hexdigest()


def test_a_right_signature_is_proof_among_others_too():
    assert is_proof([f"sha256={RIGHT}"], BODY, "s3cret")
    assert is_proof(["v1=0", f" v1={RIGHT} "], BODY, "s3cret", scheme="v1=")


@pytest.mark.parametrize(
    "given",
    [[], [""], [RIGHT], [f"sha1={RIGHT}"], [f"sha256={RIGHT[:-1]}"], [f"sha256={RIGHT}0"], [f"sha256={RIGHT.upper()}"]]
    + [["sha256=é\ud800"]],
)
def test_nothing_else_is(given):
    assert not is_proof(given, BODY, "s3cret")


def test_another_body_or_secret_is_no_proof():
    assert not is_proof([f"sha256={RIGHT}"], BODY + b" ", "s3cret")
    assert not is_proof([f"sha256={RIGHT}"], BODY, "S3cret")


@pytest.mark.parametrize(("secret", "told"), [(None, None), ("", None), ("s3cret", True), ("another", False)])
def test_without_a_secret_nothing_is_proved_or_refused(secret, told):
    given = None if secret is None else SecretStr(secret)

    assert proof(given, [f"sha256={RIGHT}"], BODY) is told


def test_a_header_is_found_however_it_is_written():
    assert header({"X-HUB-signature": "a"}, "x-hub-Signature") == "a"
    assert header({}, "x-hub-signature") == ""

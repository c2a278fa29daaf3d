"""Whether a request comes from Slack: its signature over the raw bytes, its age, and that it is not a replay.

Without SLACK_SIGNING_SECRET the retired SLACK_VERIFICATION_TOKEN is accepted; without both, local requests only.
https://docs.slack.dev/authentication/verifying-requests-from-slack
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import UTC, datetime

import structlog
from flask import Request
from slack_sdk.signature import Clock, SignatureVerifier

from service_event_checker import logs
from service_event_checker.config.sunset import Sunset
from service_event_checker.core.roles import HoldingArea
from service_event_checker.engine import seen_requests
from service_event_checker.engine.refusals import Refusal
from service_event_checker.web.errors import Refused
from service_event_checker.web.request_body import raw_body
from service_event_checker.web.security.auth import Caller, Scope
from service_event_checker.web.security.local import is_local
from service_event_checker.web.slack.request import read_form, read_payload

SECRET = "SLACK_SIGNING_SECRET"  # noqa: S105  # the variable's name
TOKEN = "SLACK_VERIFICATION_TOKEN"  # noqa: S105
BODY_MAX = 512 * 1024  # bytes; a pressed button brings its whole message along
WINDOW = 300.0  # seconds that a signature is good for, to either side
STORE_SECONDS = 0.7  # until the work goes on waiting: Slack counts three, and the work has 1.8
STORE_CALLS = 16  # at once
SLACK = Caller("slack", frozenset({Scope.WRITE, Scope.ACT}))

log = structlog.get_logger()


# https://api.slack.com/authentication/verifying-requests-from-slack
VERIFICATION_TOKEN = Sunset(
    "slack_verification_token",
    "Slack's verification token (SLACK_VERIFICATION_TOKEN)",
    None,
    "Set SLACK_SIGNING_SECRET (Basic Information of the app) and remove the token",
)


def sunsets(environ: Mapping[str, str]) -> tuple[Sunset, ...]:
    """Return the old scheme where it is all that proves Slack's requests."""
    return (VERIFICATION_TOKEN,) if environ.get(TOKEN) and not environ.get(SECRET) else ()


class Confirmation:
    """The store's answer whether a request is a replay; without a signature there is none to wait for."""

    def __init__(self, asked: Future[bool] | None = None) -> None:
        self._asked = asked

    def wait(self) -> None:
        """Wait for the answer, however long it takes. Raises Refused (401) for a replay, and StoreError."""
        if self._asked is not None and not self._asked.result():
            raise Refused(401, "This request was already received.", why=Refusal.WRONG_SIGNATURE)

    def refuse_if_known(self) -> None:
        """Raise Refused (401) if the answer has come meanwhile and says that the request is a replay."""
        if self._asked is not None and self._asked.done() and self._asked.exception() is None:
            self.wait()


class Signatures:
    """Lets in what Slack has sent, once. Safe for several threads; `holding` remembers it for all processes."""

    def __init__(
        self, environ: Mapping[str, str], holding: Callable[[], HoldingArea], clock: Callable[[], float] = time.time
    ) -> None:
        self._secret = environ.get(SECRET, "").strip()
        self._token = environ.get(TOKEN, "").strip()
        self._clock = clock
        self._holding = holding
        self._calls = ThreadPoolExecutor(STORE_CALLS, thread_name_prefix="slack-seen")
        logs.hide([self._secret, self._token])

    def admit(self, request: Request) -> Confirmation:
        """Let a genuine request in, whose body is then cached; return what its work is to wait for first.

        Raises Refused (400, 401, 403) and StoreError.
        """
        body = raw_body(request, BODY_MAX)
        if self._secret:
            return self._verify(request, body)
        if self._token:
            self._compare(body)
        elif not is_local(request):
            hint = f"Only requests from this machine are accepted: {SECRET} is not set. It is on the Slack app's page."
            raise Refused(403, hint, details={"set": SECRET}, why=Refusal.NOT_CONFIGURED)
        return Confirmation()

    def _verify(self, request: Request, body: bytes) -> Confirmation:
        stamp = request.headers.get("X-Slack-Request-Timestamp", "")
        signature = request.headers.get("X-Slack-Signature", "")
        if not is_signed(self._secret, body, stamp, signature, self._clock()):
            raise Refused(
                401, "The request is not signed by Slack, or is older than five minutes.", why=Refusal.WRONG_SIGNATURE
            )
        signed, now = f"{stamp}:{signature}", datetime.fromtimestamp(self._clock(), UTC)
        asked = self._calls.submit(lambda: seen_requests.is_first(self._holding(), "slack", signed, now))
        confirmation = Confirmation(asked)
        if wait([asked], STORE_SECONDS).done:
            confirmation.wait()
        return confirmation

    def _compare(self, body: bytes) -> None:
        log.warning("slack_unsigned", hint=f"accepted by the retired {TOKEN}: set {SECRET}")
        form = read_form(body)
        given = read_payload(form).get("token") if "payload" in form else form.get("token")
        said = given if isinstance(given, str) else ""
        if not hmac.compare_digest(_digest(said), _digest(self._token)):
            raise Refused(401, "Slack's verification token is missing or wrong.", why=Refusal.WRONG_SIGNATURE)


def is_signed(secret: str, body: bytes, stamp: str, signature: str, now: float) -> bool:
    """Whether the v0 signature is right and its time within five minutes of `now`; never raises."""
    if not (stamp.isascii() and stamp.isdecimal() and len(stamp) < 16 and signature.isascii()):
        return False
    if abs(now - int(stamp)) > WINDOW:
        return False
    try:
        return bool(SignatureVerifier(secret, _Stopped(now)).is_valid(body, stamp, signature))
    except ValueError:  # a body that is no UTF-8
        return False


class _Stopped(Clock):
    def __init__(self, now: float) -> None:
        self._now = now

    def now(self) -> float:
        return self._now


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "replace")).digest()

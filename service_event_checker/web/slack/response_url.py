"""The response_url of one command or press: where later answers go. Checked, counted, and kept in memory alone.

https://docs.slack.dev/interactivity/handling-user-interaction#message_responses
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import structlog

from service_event_checker.http.answer import HttpError
from service_event_checker.http.client import Http

SLACK_HOST = "hooks.slack.com"
USES = 5  # posts that Slack takes ...
LIFETIME = 30 * 60.0  # ... within these seconds
POST_SECONDS = 5.0
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_SPENT = frozenset({400, 403, 404, 410})  # used up, expired or refused: a repetition changes nothing

log = structlog.get_logger()


class ResponseUrl:
    """A secret address: whoever has it can write in our name. For one thread; it has no repr and is not logged.

    `api_url`: of Slack's Web API; where that is on loopback, a double stands for all of Slack.
    """

    def __init__(self, url: str, api_url: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._url = url
        self._clock = clock
        self._until = clock() + LIFETIME
        self._genuine = is_slacks(url, api_url)
        self._left = USES

    @property
    def usable(self) -> bool:
        """Whether Slack would take another post."""
        return self._genuine and self._left > 0 and self._clock() < self._until

    def post(self, body: Mapping[str, Any]) -> bool:
        """Post once; return whether Slack took it. A try without an answer counts as a use."""
        if not self.usable:
            reason = "it is used up or too old" if self._genuine else "the response_url is not an address of Slack"
            log.warning("slack_reply_dropped", reason=reason)
            return False
        self._left -= 1
        base = "{0.scheme}://{0.netloc}".format(urlsplit(self._url))
        try:
            Http(base, timeout=POST_SECONDS).send("POST", self._url, json=body)
        except HttpError as error:
            self._left = 0 if error.status in _SPENT else self._left
            log.warning("slack_reply_failed", reason=str(error.reason), left=self._left)
            return False
        return True


def is_slacks(response_url: str, api_url: str) -> bool:
    """Whether an address that a request names is Slack's, or that of a double which stands for all of Slack."""
    try:
        url, api = urlsplit(response_url), urlsplit(api_url)
        ports = url.port, api.port
    except ValueError:
        return False
    if url.username is not None or url.password is not None or any(char <= " " for char in response_url):
        return False
    if api.hostname in _LOOPBACK:
        return url.scheme == api.scheme and url.hostname == api.hostname and ports[0] == ports[1]
    return url.scheme == "https" and url.hostname == SLACK_HOST and ports[0] in (None, 443)

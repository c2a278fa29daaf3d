"""Answers to Slack: within its three seconds where that can be, else later through the response_url.

Work runs on threads whose number is bounded; what it answers, and to whom, is decided elsewhere.
https://docs.slack.dev/interactivity/handling-user-interaction#responses
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog

from service_event_checker.core.errors import InvalidInput, StoreError
from service_event_checker.destinations.slack.mrkdwn import escape_mrkdwn
from service_event_checker.render.text import cut
from service_event_checker.web.errors import Refused
from service_event_checker.web.slack.message_update import MessageUpdate
from service_event_checker.web.slack.response_url import ResponseUrl

PATIENCE = 1.8  # seconds; Slack counts three, its way to us and back included
POSTS = 2  # tries
PAUSE_SECONDS = 1.0
MAX_WORKERS = 16  # works at once, and as many answers on their way
SECTION_MAX = 2900  # Slack allows 3000

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that only who asked sees. `text` is mrkdwn, escaped; `blocks` show it where there are any.

    `update`: the message that shows to everybody what was done. `in_message`: it then says all that `text` does.
    """

    text: str
    blocks: tuple[dict[str, Any], ...] = ()
    update: MessageUpdate | None = None
    in_message: bool = False

    def as_json(self) -> dict[str, Any]:
        blocks = self.blocks or tuple(sections(self.text))
        return {
            "response_type": "ephemeral",
            "replace_original": False,
            "text": cut(self.text, SECTION_MAX),
            "blocks": list(blocks),
        }


@dataclass(frozen=True, slots=True)
class DeferredReply:
    """An answer that takes its time: `now` is said at once, what `work` gives follows."""

    now: Reply
    work: Callable[[], Reply | DeferredReply]


BUSY = Reply("Too many requests at once. Nothing was done; please try again in a moment.")
PATIENT = Reply("This takes longer than usual. The answer follows here.")
Work = Callable[[], Reply | DeferredReply]


class BackgroundReplies:
    """Runs works beside the request that asked for them."""

    def __init__(self, api_url: str, *, max_workers: int = MAX_WORKERS, patience: float = PATIENCE) -> None:
        self._api_url = api_url
        self._patience = patience
        self._works = threading.BoundedSemaphore(max_workers)
        self._posts = threading.BoundedSemaphore(max_workers)

    def renewed(self, api_url: str) -> BackgroundReplies:
        """Return this, or one for another address of Slack."""
        return self if api_url == self._api_url else BackgroundReplies(api_url, patience=self._patience)

    def answer(self, work: Work, response_url: str) -> Reply:
        """Return what `work` gives if it is quick; else a word at once, and the rest through the response_url."""
        job = _Job()
        if not self._start(job, work, ResponseUrl(response_url, self._api_url)):
            return BUSY
        return job.wait(self._patience) or PATIENT

    def do(self, work: Work, response_url: str) -> bool:
        """Wait for `work` as long as Slack waits for us, and answer through the response_url only; False: too busy."""
        job = _Job()
        job.abandon()
        if not self._start(job, work, ResponseUrl(response_url, self._api_url)):
            return False
        job.done.wait(self._patience)
        return True

    def _start(self, job: _Job, work: Work, url: ResponseUrl) -> bool:
        if not self._works.acquire(blocking=False):
            return False
        threading.Thread(target=self._run, args=(job, work, url), name="slack-work", daemon=True).start()
        return True

    def _run(self, job: _Job, work: Work, url: ResponseUrl) -> None:
        try:
            found = _outcome(work)
            while isinstance(found, DeferredReply):
                job.take(found.now)
                found = _outcome(found.work)
            taken = job.take(found)
        finally:
            self._works.release()
            job.done.set()
        if not taken:
            self._post(found, url)

    def _post(self, reply: Reply, url: ResponseUrl) -> None:
        if not self._posts.acquire(blocking=False):
            log.warning("slack_reply_dropped", reason="too many answers are on their way")
            return
        try:
            post(url, reply)
        finally:
            self._posts.release()


def post(url: ResponseUrl, reply: Reply) -> None:
    """Show what was done in the message itself, then say to the person what the message does not."""
    shown = reply.update is not None and reply.update.post(url)
    if shown and reply.in_message:
        return
    for attempt in range(POSTS):
        if url.post(reply.as_json()) or not url.usable:
            return
        threading.Event().wait(PAUSE_SECONDS if attempt + 1 < POSTS else 0)


def sections(text: str) -> list[dict[str, Any]]:
    """Lay out lines of mrkdwn, escaped already, in as few blocks as Slack's limit allows."""
    parts: list[str] = []
    for row in text.split("\n"):
        row = cut(row, SECTION_MAX)
        if parts and len(parts[-1]) + 1 + len(row) <= SECTION_MAX:
            parts[-1] += "\n" + row
        else:
            parts.append(row)
    return [section(part) for part in parts if part.strip()]


def section(text: str) -> dict[str, Any]:
    # `verbatim`: Slack makes no mention or channel link of what it finds in the text
    return {"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": True}}


class _Job:
    """Hands one reply to the request that waits for it, or says that nobody waits any more."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self._condition = threading.Condition()
        self._reply: Reply | None = None
        self._left = False

    def wait(self, seconds: float) -> Reply | None:
        """Return the reply, or None after `seconds`; from then on nobody waits for it."""
        with self._condition:
            self._condition.wait_for(lambda: self._reply is not None, timeout=seconds)
            self._left = True
            return self._reply

    def abandon(self) -> None:
        self._left = True

    def take(self, reply: Reply) -> bool:
        """Give the reply to who waits; False where nobody does, or has another one already."""
        with self._condition:
            if self._left or self._reply is not None:
                return False
            self._reply = reply
            self._condition.notify_all()
            return True


def _outcome(work: Work) -> Reply | DeferredReply:
    try:
        return work()
    except StoreError as error:
        log.error("store_unavailable", during="an answer to Slack", reason=str(error))  # noqa: TRY400  # a state, not a crash
        return Reply("The database does not answer. Please try again; nothing is done twice.")
    except Refused as error:
        return Reply(escape_mrkdwn(error.message))
    except InvalidInput as error:
        return Reply(escape_mrkdwn(f"Invalid input: {error.problem}. {error.hint}".strip()))
    except Exception:  # noqa: BLE001  # last resort: the person must get an answer
        log.exception("slack_command_failed")
        return Reply("An internal error occurred. See the log for details.")

"""Shows a press in its own message at once: the whole message as its alert is now, through the response_url.

The delivery that follows the commit writes the same, or what came later; so nothing is lost where this fails.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

import structlog

from service_event_checker.core.errors import StoreError
from service_event_checker.core.model import Alert, Link
from service_event_checker.destinations.slack.adapter import Adapter
from service_event_checker.engine.services import Services
from service_event_checker.web.slack.response_url import ResponseUrl

ROUNDS = 3  # posts of the five; the others are for what is said to the person alone
TURN_SECONDS = 0.8  # an older write that is under way is waited for, so that it does not land after ours
LATE_SECONDS = 15.0  # one that hangs is not; when it has ended, the state of then is posted again
PAUSE_SECONDS = 1.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageUpdate:
    """One message ("channel:ts"), and the episode of the alert that its pressed button was signed for."""

    services: Services
    message: str
    key: str
    episode: int

    def post(self, url: ResponseUrl) -> bool:
        """Return whether the message shows the alert as it is now, or will without us.

        False as well for what is not the episode's own message.
        """
        try:
            found = self._place()
            return found is not None and self._post(*found, url)
        except StoreError as error:
            log.warning("store_unavailable", during="an update of a Slack message", reason=str(error))
            return False

    def _post(self, adapter: Adapter, link: Link, url: ResponseUrl) -> bool:
        shown = False
        for round in range(ROUNDS):
            with adapter.writes.turn(self.message, LATE_SECONDS if shown else TURN_SECONDS) as alone:
                alert = self._alert()  # each time anew: what is posted is never older than what a delivery wrote before
                if alert is None or adapter.writes.shown(self.message) >= alert.revision:
                    return True
                sent = url.post({"replace_original": True, **adapter.state_of_now(alert, link)})
                if sent:
                    adapter.writes.record(self.message, alert.revision)
            shown = shown or sent
            if not url.usable:
                break
            if sent and alone and self._revision() == alert.revision:
                break
            if not sent and round + 1 < ROUNDS:
                threading.Event().wait(PAUSE_SECONDS)
        return shown

    def _place(self) -> tuple[Adapter, Link] | None:
        """Return which Slack receiver wrote the message, and its link."""
        for name, destination in self.services.outbox.destinations.items():
            if isinstance(destination, Adapter):
                link = self.services.store.link_by(name, self.message)
                if link is not None and (link.key, link.episode) == (self.key, self.episode):
                    return destination, link
        return None

    def _alert(self) -> Alert | None:
        """Return the alert; None when a later episode, with its own message, has begun."""
        alert = self.services.store.get([self.key]).get(self.key)
        return alert if alert is not None and alert.episode == self.episode else None

    def _revision(self) -> int:
        alert = self._alert()
        return alert.revision if alert else 0

"""Who we are at PagerDuty: the automation user, given as a name, an e-mail or an id, and looked up late.

What this user did is not carried back. A webhook's agent is `{id, summary}` and holds no e-mail, so that one given by
e-mail must be looked up; until that has worked, what can be compared is.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterable

import structlog

from service_event_checker.core.errors import DeliveryError
from service_event_checker.destinations.pagerduty.payload import Reference, User

LOOK_AGAIN = 60.0  # seconds between two tries while it is unknown
_ID = re.compile(r"[PQ][A-Z0-9]{5,19}")

log = structlog.get_logger()


class OwnUser:
    """Safe for several threads. `find` lists the users whose name or e-mail contains a text, and may raise."""

    def __init__(self, named: str, find: Callable[[str], list[User]]) -> None:
        self.named = named.strip()
        self.id = self.named if _ID.fullmatch(self.named) else ""
        self._find = find
        self._asked_at: float | None = None
        self._lock = threading.Lock()

    @property
    def known(self) -> bool:
        return bool(self.id) or not self.named

    @property
    def worth_asking(self) -> bool:
        """Whether it is unknown, and was not asked for within the last minute."""
        lately = self._asked_at is not None and time.monotonic() - self._asked_at < LOOK_AGAIN
        return not self.known and not lately

    def did(self, agent: Reference | None) -> bool:
        """Whether it was us. Nobody (an automation, a time-out) is not us."""
        if agent is None or not self.named:
            return False
        if self.id and self.id != self.named:
            return agent.id == self.id
        return self.named.casefold() in (agent.id.casefold(), agent.summary.strip().casefold())

    def learn(self) -> None:
        """Ask who we are while that is unknown, at most once a minute. Never raises: it is asked again."""
        with self._lock:
            if not self.worth_asking:
                return
            self._asked_at = time.monotonic()
        try:
            self.look_up()
        except DeliveryError as error:
            log.warning("pagerduty_user_unknown", reason=str(error))

    def look_up(self) -> bool:
        """Ask now; return whether exactly one user has this name or e-mail. Raises DeliveryError."""
        if not self.known:
            self.id = found_id(self.named, self._find(self.named))
        return self.known


def found_id(named: str, users: Iterable[User]) -> str:
    """Return the id of the one user with exactly this e-mail or name, "" for none or several."""
    wanted, found = named.strip().casefold(), list(users)
    by_email = {user.id for user in found if user.email.strip().casefold() == wanted}
    by_name = {user.id for user in found if user.name.strip().casefold() == wanted}
    return next((ids.pop() for ids in (by_email, by_name) if len(ids) == 1), "")

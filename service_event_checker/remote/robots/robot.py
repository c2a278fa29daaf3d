"""The adapter of all chat robots: one message for each delivery, said in the dialect of its system.

A robot's address takes messages and shows none: what may have arrived is repeated for critical and error only
(`on_ambiguous`). A message of several parts goes on, after a failure, with the part that failed.
"""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar

from service_event_checker.config.models import secret
from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.core.ids import remote_key
from service_event_checker.core.model import Alert, Delivery, Link
from service_event_checker.core.ports import ProbeResult
from service_event_checker.core.vocabulary import Family, Verb
from service_event_checker.http.answer import HttpError
from service_event_checker.http.client import Http
from service_event_checker.remote.pauses import Pauses
from service_event_checker.remote.progress import Progress
from service_event_checker.remote.robots import own_text
from service_event_checker.remote.robots.answers import accepted, failure
from service_event_checker.remote.robots.config import MessageConfig
from service_event_checker.remote.robots.dialect import Dialect, Signature
from service_event_checker.render.markup import atoms
from service_event_checker.render.message import HEADLINE, Message, compose
from service_event_checker.render.own import Form
from service_event_checker.render.splitting import messages

JSON = {"Content-Type": "application/json; charset=utf-8"}
ONLY_BY_SENDING = "it has no call that tells this; use --send (API: send=true), which posts one message marked TEST"
MINUTE = 60.0  # seconds
VERBS = frozenset(Verb) - {Verb.RUN}


class Robot:
    """Safe for several threads. A subclass names its `dialect`; `address` is where it posts, with all its secrets."""

    family = Family.CHAT
    edits = False  # an update is one more message
    verbs = VERBS
    dialect: ClassVar[Dialect]

    def __init__(self, name: str, config: MessageConfig, *, address: str = "") -> None:
        self.name = name
        self.config = config
        self.verbs = VERBS if config.updates else VERBS - {Verb.UPDATE}
        self._address = address or secret(getattr(config, "url", None))
        self._http = Http(self._address, timeout=config.timeout.total_seconds())
        self._secrets = [self._address, secret(getattr(config, "secret", None))]
        self._pauses = Pauses(self.dialect.system)
        self.raise_if_paused = self._pauses.raise_if_paused
        self._mentions: tuple[str, ...] = getattr(config, "mentions", ())
        self._progress = Progress[int]()
        self._sent_at: deque[float] = deque()
        self._lock = threading.Lock()

    def deliver(self, delivery: Delivery, alert: Alert, link: Link | None) -> Link | None:
        """Send the message of the delivery's verb, in as many parts as it takes."""
        told = self.composed(delivery, alert)
        mentions = self._mentions if delivery.verb is Verb.OPEN else ()
        texts = self.texts(told, mentions)
        sent = self._progress.of(delivery.id)
        self.demand_room(len(texts) - len(sent))
        for number, text in enumerate(texts):
            if number not in sent:
                self.send(self.dialect.payload(told, text, mentions if number == 0 else ()))
                sent.add(number)
        self._progress.finish(delivery.id)
        return link or new_link(delivery)

    def probe(self) -> ProbeResult:
        """Say what only a message shows: a robot's address takes messages and answers nothing else."""
        system = self.dialect.system
        place = f"whether {system} takes messages at this address, and its security settings let them in"
        return ProbeResult(unproven=(f"{place}: {ONLY_BY_SENDING}",))

    def preview(self, delivery: Delivery, alert: Alert) -> dict[str, str]:
        """Return the headline and the text, in the system's markup; several messages with a line between."""
        told = self.composed(delivery, alert)
        return {HEADLINE: told.headline, self.dialect.part: "\n---\n".join(self.texts(told))}

    @classmethod
    def forms(cls, _config: MessageConfig) -> Mapping[str, Form]:
        return own_text.forms(cls.dialect)

    def composed(self, delivery: Delivery, alert: Alert) -> Message:
        """Return what a delivery tells."""
        return compose(delivery, alert, datetime.now(UTC))

    def dry_run(self, delivery: Delivery, alert: Alert) -> str:
        """Render the message that `deliver` would send."""
        told = self.composed(delivery, alert)
        return f"{len(self.texts(told))} message(s) at {self.dialect.system}: {told.headline}"

    def texts(self, told: Message, mentions: Sequence[str] = ()) -> list[str]:
        """Return the parts of a message, marked up, each short enough; the first one has the mentions."""
        dialect = self.dialect
        named = "".join(map(dialect.mention, mentions))
        own = told.own.get(dialect.part, "")
        written = own_text.atoms(own, dialect.markup.newline) if own else _built_in(told, dialect)
        ending = dialect.markup.escaped(f"\n{self.ending}" if own and self.ending else self.ending)
        pieces = [*written, *ending]
        first, *more = messages(pieces, dialect.limit - dialect.measure(named), dialect.parts, dialect.measure) or [""]
        return [first + named, *more]

    @property
    def ending(self) -> str:
        """What each message ends with, "" for nothing."""
        return ""

    def demand_room(self, wanted: int) -> None:
        """Raise DeliveryError(RATE_LIMITED) if so many messages are more than the system takes in this minute."""
        now = time.monotonic()
        with self._lock:
            while self._sent_at and now - self._sent_at[0] >= MINUTE:
                self._sent_at.popleft()
            excess = len(self._sent_at) + wanted - self.dialect.per_minute
            if excess > 0 and self._sent_at:
                pause = self._sent_at[min(excess, len(self._sent_at)) - 1] + MINUTE - now
                detail = f"{self.dialect.system} takes {self.dialect.per_minute} messages a minute from us"
                raise DeliveryError(Reason.RATE_LIMITED, detail, retry_after=pause)

    def send(self, payload: Mapping[str, Any], path: str = "") -> dict[str, Any]:
        """Post one body and return the answer's. Raises DeliveryError."""
        own = secret(getattr(self.config, "secret", None))
        proof = self.dialect.sign(own, datetime.now(UTC)) if self.dialect.sign and own else Signature()
        body = json.dumps({**proof.body, **payload}, ensure_ascii=False).encode("utf-8", "replace")
        self._sent_at.append(time.monotonic())
        try:
            answer = self._http.send("POST", path, params=proof.query, data=body, headers=JSON)
            return accepted(answer, self.dialect, self._secrets)
        except HttpError as error:
            refusal = failure(error, self.dialect, self._secrets)
        except DeliveryError as error:
            refusal = error
        self._pauses.add(refusal.retry_after)
        raise refusal


def _built_in(told: Message, dialect: Dialect) -> list[str]:
    return atoms(told, dialect.markup, headline=dialect.headline)


def new_link(delivery: Delivery, external_id: str = "", url: str = "") -> Link:
    """Return the link of the episode that a delivery opened."""
    return Link(
        key=delivery.key,
        episode=delivery.episode,
        receiver=delivery.receiver,
        remote_key=remote_key(delivery.key, delivery.episode),
        external_id=external_id,
        url=url,
    )

"""What an error answer means for a delivery: the system's own words, the pause that it wants, whether to go on."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from typing import Any

from service_event_checker.config.models import as_mapping
from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.http.answer import RETRY_AFTER_MAX, HttpError, parse_json

WORDS_MAX = 300  # characters
_FINAL = frozenset({Reason.NOT_FOUND, Reason.REFUSED})
ACCESS = frozenset({Reason.UNAUTHORIZED, Reason.FORBIDDEN})
_NUMBER = re.compile(r"[0-9]{1,15}(\.[0-9]{1,9})?")


def delivery_error(error: HttpError, said: str = "", *, pause: float | None = None) -> DeliveryError:
    """Return the error for the outbox: permanent where the system itself refused, for it would refuse again.

    `said`: its own words for that, see `words`. `pause`: seconds to wait after a 429 that came without Retry-After.
    """
    final = error.reason in _FINAL and error.status is not None and 400 <= error.status < 500
    detail = f"{error.detail}: {said}" if said else error.detail
    wanted = error.retry_after or (pause if error.reason is Reason.RATE_LIMITED else None)
    return DeliveryError(error.reason, detail, permanent=final, retry_after=wanted)


def access_error(error: HttpError, said: str, *, who: str, right: str) -> DeliveryError:
    """Return the error of a system that does not know us (401) or does not let us (403): a person corrects both.

    `said`: its own words, see `words`. `who`, `right`: what to correct of the credentials, of their rights.
    """
    hint = right if error.reason is Reason.FORBIDDEN else who
    reason = Reason.FORBIDDEN if error.reason is Reason.FORBIDDEN else Reason.UNAUTHORIZED
    return DeliveryError(reason, f"{said}; {hint}" if said else hint, retry_after=error.retry_after)


def body_of(error: HttpError) -> dict[str, Any]:
    """Return the JSON object that is the body of an error, {} where it has none."""
    try:
        return as_mapping(parse_json(error.body)) if error.body else {}
    except HttpError:
        return {}


def words(texts: Iterable[object], secrets: Iterable[str], *, between: str = ": ", limit: int = WORDS_MAX) -> str:
    """Return a system's own words on one line, cut, and without what we sent as a secret; what is not text is left out.

    They come before people and into logs, and some systems repeat what was sent to them.
    """
    text = re.sub(r"\s+", " ", between.join(each for each in texts if isinstance(each, str) and each))
    for secret in filter(None, secrets):
        text = text.replace(secret, "***")
    return text[:limit]


def pause(headers: Mapping[str, str], *, seconds: str = "", until: str = "") -> float | None:
    """Return the seconds that an answer's headers ask to wait, an hour at most; None where they ask for nothing.

    `seconds` names the header that counts them, `until` the one that tells when it is over, in seconds since 1970.
    """
    counted, moment = headers.get(seconds, "").strip(), headers.get(until, "").strip()
    if _NUMBER.fullmatch(counted):
        left = float(counted)
    elif _NUMBER.fullmatch(moment):
        left = float(moment) - time.time()
    else:
        return None
    return min(left, RETRY_AFTER_MAX) if left > 0 else None

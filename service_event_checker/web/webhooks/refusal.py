"""What a webhook's route does with a body that it refuses: puts it aside, and answers why and under which id."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from flask import request
from werkzeug.exceptions import RequestEntityTooLarge

from service_event_checker.core.errors import InvalidInput
from service_event_checker.engine import quarantine
from service_event_checker.sources.alertmanager.intake import NoneUsable
from service_event_checker.sources.alertmanager.webhook import Rejected
from service_event_checker.web.context import services
from service_event_checker.web.errors import Refused
from service_event_checker.web.request_body import beginning

LISTED_MAX = 1000  # rejected alerts that an answer names


@contextmanager
def put_aside(source: str, receiver: str = "", *, route: str = "") -> Iterator[None]:
    """Put the request's body aside when what is done with it here refuses it with 4xx; the sender must be let in.

    `route`: what is kept of an address that is a secret.

    Raises Refused with the id in its details. The answer is the same when the store is away.
    """
    try:
        yield
    except RequestEntityTooLarge:
        keep(source, receiver, "is too large", route)
        raise
    except NoneUsable as error:
        id = keep(source, receiver, str(error), route)
        details = {"rejected": rejected(error.rejected, {}), "quarantined": id}
        raise Refused(422, str(error), details=details) from None
    except InvalidInput as error:
        id = keep(source, receiver, str(error), route)
        raise Refused(400, str(error), details={"field": error.where, "quarantined": id}) from None
    except Refused as error:
        if error.status >= 500:
            raise  # the sender repeats it
        error.details = {**(error.details or {}), "quarantined": keep(source, receiver, error.message, route)}
        raise


def keep(source: str, receiver: str, error: str, route: str = "") -> str | None:
    """Put the request's body aside and return its id there, None when the store is away."""
    refused = quarantine.refusal(
        beginning(request, quarantine.READ_MAX),
        route=route or request.path,
        error=error,
        receiver=receiver,
        headers=request.headers.items(),
    )
    return next(iter(quarantine.put(services().store.holding, source, [refused], datetime.now(UTC))), None)


def rejected(alerts: Sequence[Rejected], ids: Mapping[int, str]) -> list[dict[str, Any]]:
    """Return the shape in which an answer names rejected alerts, at most 1,000; `ids` in quarantine, by place."""
    aside = {index: {"quarantined": id} for index, id in ids.items()}
    return [{"index": one.index, "error": one.error} | aside.get(one.index, {}) for one in alerts[:LISTED_MAX]]

"""Makes foreign text storable: no NUL, no lone surrogates, no endless fields. Pure; says what it refuses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from service_event_checker.core.errors import InvalidInput
from service_event_checker.core.model import FINGERPRINT_MAX, POSTS_MAX, Event, Post

TITLE_MAX = 500  # characters; two lines on any screen
TEXT_MAX = 20_000  # characters; half of what Slack's API takes, under one property of Azure Tables
LABELS_MAX = 100
LABEL_MAX = 2_000
NAME_MAX = 200
SOURCE_MAX = 100  # the stores' column
_EARLIEST = datetime(1970, 1, 2, tzinfo=UTC)  # vendors write 0001-01-01 for "no time"
_LATEST = datetime(9999, 1, 1, tzinfo=UTC)  # and 9999-12-31


def clean(event: Event) -> Event:
    """Return the event with storable text and without sentinel times; the event itself where nothing is to be done.

    Raises InvalidInput when it has no identity: source or fingerprint are empty or too long.
    """
    return event if _is_clean(event) else _cleaned(event)


def _is_clean(event: Event) -> bool:
    """Whether `_cleaned` would change nothing. Most events are, and are asked more than once: a look costs a tenth."""
    short = (event.intake, event.via, event.actor, event.note_id)
    long = (event.title, event.url, event.description, event.note)
    own, told = event.labels, event.annotations
    try:
        text = "".join((event.source, event.fingerprint, *short, *long, *own, *own.values(), *told, *told.values()))
        text.encode()  # lone surrogates
    except UnicodeEncodeError:
        return False
    return (
        "\0" not in text
        and not (event.posts or event.states or event.posted_at)
        and 0 < len(event.source) <= SOURCE_MAX
        and 0 < len(event.fingerprint) <= FINGERPRINT_MAX
        and max(map(len, short)) <= NAME_MAX
        and max(len(event.description), len(event.note)) <= TEXT_MAX
        and len(event.title) <= TITLE_MAX
        and event.title == " ".join(event.title.split())
        and (not event.url or (_is_address(event.url) and len(event.url) <= LABEL_MAX))
        and _is_clean_mapping(own)
        and _is_clean_mapping(told)
        and _is_clean_time(event.at)
        and _is_clean_time(event.starts_at)
        and _is_clean_time(event.ends_at)
        and not (event.starts_at and event.ends_at and event.ends_at <= event.starts_at)
    )


def _is_clean_mapping(labels: Mapping[str, str]) -> bool:
    if not labels:
        return True
    return (
        len(labels) <= LABELS_MAX
        and max(map(len, labels)) <= NAME_MAX
        and max(map(len, labels.values())) <= LABEL_MAX
        and list(labels) == sorted(labels)
    )


def _is_clean_time(at: datetime | None) -> bool:
    return at is None or (at.tzinfo is UTC and _EARLIEST <= at < _LATEST)


def _cleaned(event: Event) -> Event:
    starts_at, ends_at = _time(event.starts_at), _time(event.ends_at)
    return replace(
        event,
        source=_identity("source", event.source, SOURCE_MAX),
        fingerprint=_identity("fingerprint", event.fingerprint, FINGERPRINT_MAX),
        title=_text(" ".join(_storable(event.title).split()), TITLE_MAX),
        description=_text(event.description, TEXT_MAX),
        url=_address(event.url) if _is_address(event.url) else "",
        labels=_mapping(event.labels),
        annotations=_mapping(event.annotations),
        intake=_text(event.intake, NAME_MAX),
        via=_text(event.via, NAME_MAX),
        actor=_text(event.actor, NAME_MAX),
        note=_text(event.note, TEXT_MAX),
        note_id=_text(event.note_id, NAME_MAX),
        at=_time(event.at),
        starts_at=starts_at,
        ends_at=None if starts_at and ends_at and ends_at <= starts_at else ends_at,
        expires_at=_time(event.expires_at),
        posted_at=_time(event.posted_at),
        posts=tuple(_post(post) for post in event.posts[-POSTS_MAX:]),
        states=_mapping(event.states),
    )


def _post(post: Post) -> Post:
    at = _time(post.at) or post.at
    return Post(at=at, state=_text(post.state, NAME_MAX), text=_text(post.text, LABEL_MAX))


def _identity(where: str, text: str, limit: int) -> str:
    """Return the storable text whole: cut, it might be another's."""
    storable = _storable(text)
    if not 0 < len(storable) <= limit:
        raise InvalidInput(where, f"must have 1 to {limit} characters", "Send what names it, or a hash of that")
    return storable


def _text(text: str, limit: int) -> str:
    storable = _storable(text)
    return storable if len(storable) <= limit else storable[: limit - 1] + "…"


def _is_address(text: str) -> bool:
    return text.lower().startswith(("http://", "https://"))


def _address(text: str) -> str:
    """Return an address whole, or nothing: cut, it would lead elsewhere."""
    storable = _storable(text)
    return storable if len(storable) <= LABEL_MAX else ""


def _storable(text: str) -> str:
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def _mapping(labels: Mapping[str, str]) -> dict[str, str]:
    chosen = sorted(labels.items())[:LABELS_MAX]
    return {_text(name, NAME_MAX): value for name, found in chosen if (value := _value(found)) or not found}


def _value(text: str) -> str:
    return _address(text) if _is_address(text) and not text.split()[1:] else _text(text, LABEL_MAX)


def _time(at: datetime | None) -> datetime | None:
    return at.astimezone(UTC) if at is not None and _EARLIEST <= at < _LATEST else None

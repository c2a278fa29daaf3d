"""RSS and Atom of status pages read into events; no I/O. Three dialects: Statuspage's, incident.io's, and plain text.

Feeds carry neither severity nor, mostly, components, and their times lack the year; `published` is the time of
the last update, not the start. What a label or a text does not say for sure is left out with a warning.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from time import struct_time
from typing import Any
from urllib.parse import urlsplit
from xml.sax import SAXException

import feedparser

from service_checkers.feed import wording
from service_checkers.feed.shape import check_shape
from service_checkers.reading.text import lines, newest, one_line, plain, text
from service_checkers.reading.values import link
from service_event_checker.core.errors import Reason, SourceError
from service_event_checker.core.model import FINGERPRINT_MAX, Event
from service_event_checker.core.vocabulary import EventStatus, Kind, Severity

ENTRIES_MAX = 500
CHAIN_GAP = timedelta(hours=24)  # feeds of updates: a longer silence begins another incident
_CONTENT_MAX = 60_000  # characters of one entry; 40 updates of GitHub's take 20,000

#: what a label says of the incident; "Update" says "as before", so it is in neither
_OPEN_LABELS = frozenset({"investigating", "identified", "monitoring"})
_PLANNED_LABELS = frozenset({"scheduled", "in progress", "verifying"})
_DONE_LABELS = frozenset({"resolved", "postmortem", "completed"})
_UNCHANGED = "update"

_DECLARED = re.compile(rb"<\?xml[^>]{0,100}?encoding\s*=\s*[\"']([\w.:-]+)", re.IGNORECASE)
_ENCODINGS = re.compile(rb"utf-?8|utf-?16(le|be)?|us-ascii|iso-8859-\d+|windows-125\d", re.IGNORECASE)
_FORBIDDEN = re.compile(rb"<!(DOCTYPE|ENTITY)", re.IGNORECASE)  # feeds do not need one; XML bombs do

_STRONG = re.compile(r"<strong>([^<>]{1,40})</strong>", re.IGNORECASE)
_BANNER = re.compile(r"<strong>\s*THIS IS A SCHEDULED EVENT\b", re.IGNORECASE)
_PLAN = re.compile(
    r"THIS IS A SCHEDULED EVENT\s+(.{1,20}?)\s+-\s+(?:([A-Z][a-z]{2} \d{1,2}),\s*)?(\d{1,2}:\d{2})\s*([A-Z]{2,5})\b"
)
_SMALL = re.compile(r"<small>", re.IGNORECASE)
_STAMP = re.compile(r"\b([A-Z][a-z]{2})\s+(\d{1,2}),\s*(\d{1,2}:\d{2})\s*([A-Z]{2,5})\b")
_STATUS_LINE = re.compile(r"\A\s*Status:\s*([A-Za-z][A-Za-z ]{0,40}?)\s*$", re.MULTILINE)
_AFFECTED = re.compile(r"^Affected components:?$", re.IGNORECASE | re.MULTILINE)
_STATE_IN_BRACKETS = re.compile(r"\s*\([^()]*\)\s*$")
_UPDATE_ID = re.compile(r"#(([a-z0-9]+)-([a-z]+(?:-[a-z]+)+-\d+|[a-z]+))_(\d{9,10})$")  # AWS: service, region, epoch
_HEADLINE = re.compile(r"^Service (?:is operating normally|impact|disruption|degradation)\s*:\s*", re.IGNORECASE)
_MARK = re.compile(r"^\[?RESOLVED\]?[:\s]\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class FeedReading:
    """What a feed says. `unread`: entries whose state cannot be told or is not believed.

    `flawed`: there is more than was read.
    """

    events: tuple[Event, ...]
    warnings: tuple[str, ...]
    unread: frozenset[str] = frozenset()
    flawed: bool = False


@dataclass(frozen=True, slots=True)
class _Entry:
    """One entry of the feed. `chain`: it is one of several updates of the place that this names."""

    fingerprint: str
    title: str
    content: str
    link: str
    published: datetime | None
    updated: datetime | None
    chain: str = ""


@dataclass(frozen=True, slots=True)
class _State:
    """What an entry says of its incident; `at` and `starts_at` where its text has times."""

    status: EventStatus
    planned: bool = False
    word: str = ""
    description: str = ""
    at: datetime | None = None
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    components: tuple[str, ...] = ()
    guessed: bool = False
    severity: Severity | None = None


def parse(source: str, body: bytes, now: datetime | None, max_age: timedelta) -> FeedReading:
    """Read a feed. An open entry without news for `max_age` is stale: left out, with a warning.

    `now` None: the newest time that the feed itself tells. Raises SourceError if it is not a complete feed.
    """
    feed = _feed(source, body)
    raw = list(feed.get("entries") or [])
    entries = [_entry(entry) for entry in raw[:ENTRIES_MAX]]
    told = [f"only the first {ENTRIES_MAX} entries were read"] if len(raw) > ENTRIES_MAX else []
    if None in entries:
        told.append("an entry without id and link is left out")
    known = [entry for entry in entries if entry]
    as_of = now or newest(*(_told_at(entry) for entry in known))
    events: dict[str, Event] = {}
    unread: set[str] = set()
    for entry in _latest(known):
        event, warning = _event(source, entry, as_of, max_age)
        told.extend([warning] if warning else [])
        if event is None:
            unread.add(entry.fingerprint)
        elif _newer(event, events.get(event.fingerprint)):
            events[event.fingerprint] = event
    recovered = _recovered(events.values())
    return FeedReading(
        events=tuple(_outdone(event, recovered) for event in events.values()),
        warnings=tuple(dict.fromkeys(told)),
        unread=frozenset(unread - events.keys()),
        flawed=len(raw) > ENTRIES_MAX or None in entries,
    )


def _recovered(events: Iterable[Event]) -> dict[str, datetime | None]:
    """Return the subjects of the entries that say by words that it is over, with the newest time of each."""
    found: dict[str, datetime | None] = {}
    for event in events:
        if event.status is EventStatus.RESOLVED and event.annotations and (subject := wording.subject(event.title)):
            found[subject] = newest(found.get(subject), event.at)
    return found


def _outdone(event: Event, recovered: Mapping[str, datetime | None]) -> Event:
    """End an entry that is open by its words where a newer one says that the same subject works again."""
    if event.status is not EventStatus.FIRING or not event.annotations:
        return event
    since = recovered.get(wording.subject(event.title))
    if since is None or event.at is None or since < event.at:
        return event
    return replace(event, status=EventStatus.RESOLVED, at=since)


def _feed(source: str, body: bytes) -> Mapping[str, Any]:
    """Parse with feedparser, which refuses nothing: HTML gives a good feed without entries, half a feed some."""
    flat = body.replace(b"\0", b"")  # UTF-16
    declared = _DECLARED.search(flat[:300])
    if _FORBIDDEN.search(flat) or (declared and not _ENCODINGS.fullmatch(declared.group(1))):
        raise SourceError(source, Reason.GARBAGE, "HTML, a document type or an odd encoding instead of a feed")
    if body.strip():
        check_shape(source, body)
    try:
        # bytes would be taken for a file's name; what is HTML is made plain by us, at a bounded cost
        feed: Mapping[str, Any] = feedparser.parse(io.BytesIO(body), sanitize_html=False, resolve_relative_uris=False)
    except (ValueError, LookupError, TypeError, AttributeError, AssertionError, RecursionError) as error:
        raise SourceError(source, Reason.GARBAGE, "not a feed") from error
    if not feed.get("version") or not (feed.get("feed") or feed.get("entries")):
        raise SourceError(source, Reason.GARBAGE, "not a feed" if body.strip() else "empty body")
    if isinstance(feed.get("bozo_exception"), SAXException):
        raise SourceError(source, Reason.GARBAGE, "truncated or broken XML")
    return feed


def _entry(raw: dict[str, Any]) -> _Entry | None:
    contents = [part for part in raw.get("content") or [] if isinstance(part, dict)]
    content = text(contents[0].get("value") if contents else raw.get("summary"))
    address, guid = _web(raw.get("link")), " ".join(text(raw.get("id")).split())
    code = re.search(r"/incidents/([\w-]+)/?$", urlsplit(address).path if address else "")
    chain = _UPDATE_ID.search(guid)
    fingerprint = chain.group(1) if chain else code.group(1) if code else guid or address
    if not fingerprint:
        return None
    if len(fingerprint) > FINGERPRINT_MAX:
        fingerprint = hashlib.sha256(fingerprint.encode()).hexdigest()
    return _Entry(
        fingerprint=fingerprint,
        title=one_line(plain(raw.get("title"))) or f"Incident {fingerprint}"[:200],
        content=content[:_CONTENT_MAX],
        link=address,
        published=_time(raw, "published_parsed"),
        updated=_time(raw, "updated_parsed"),
        chain=f"{chain.group(2)}\n{chain.group(3)}" if chain else "",
    )


def _time(raw: dict[str, Any], name: str) -> datetime | None:
    value = dict.get(raw, name)  # feedparser's own get answers "updated" with "published"
    if not isinstance(value, struct_time):
        return None
    try:
        return datetime(*value[:6], tzinfo=UTC)
    except ValueError:
        return None


def _told_at(entry: _Entry) -> datetime | None:
    """Return when an entry was written; `published` of planned work is when that begins."""
    return entry.updated or (None if _BANNER.search(entry.content) else entry.published)


def _latest(entries: list[_Entry]) -> list[_Entry]:
    """Return the entries, of a chain of updates only the newest, told to have begun with the chain's first."""
    chains: dict[str, list[_Entry]] = {}
    for entry in entries:
        if entry.chain and entry.published:
            chains.setdefault(entry.fingerprint, []).append(entry)
    return [entry for entry in entries if not entry.chain] + [_ends_of(chain) for chain in chains.values()]


def _ends_of(chain: list[_Entry]) -> _Entry:
    dated = sorted(chain, key=lambda entry: entry.published or datetime.min.replace(tzinfo=UTC), reverse=True)
    last = first = dated[0]
    for entry in dated[1:]:
        if first.published and entry.published and first.published - entry.published > CHAIN_GAP:
            break
        first = entry
    return _Entry(last.fingerprint, last.title, last.content, last.link, first.published, last.published, last.chain)


def _event(source: str, entry: _Entry, now: datetime | None, max_age: timedelta) -> tuple[Event | None, str]:
    """Return the event of an entry, or None and why not."""
    state = _by_labels(entry) or _by_status_line(entry) or _by_text(entry)
    shown = f'"{entry.title[:80]}"'
    if state is None:
        return None, f"{shown}: whether it is over cannot be told from its text"
    at = newest(state.at, entry.updated) or entry.published
    if state.status is EventStatus.FIRING and now and at and now - at > max_age and not _ahead(state, now):
        return None, f"{shown}: open, but without news since {at:%Y-%m-%d}"
    default = Severity.INFO if state.planned else Severity.WARNING
    event = Event(
        source=source,
        fingerprint=entry.fingerprint,
        kind=Kind.MAINTENANCE if state.planned else Kind.OUTAGE,
        status=state.status,
        title=_MARK.sub("", _HEADLINE.sub("", entry.title)) or entry.title,
        severity=state.severity or default,
        description=state.description,
        at=at,
        starts_at=state.starts_at or entry.published,
        ends_at=state.ends_at,
        url=entry.link,
        labels=_labels(entry, state),
        annotations={"confidence": "low"} if state.guessed else {},
    )
    return event, ""


def _labels(entry: _Entry, state: _State) -> dict[str, str]:
    service, _, region = entry.chain.partition("\n")
    labels = {"component": lines(list(state.components)), "state": state.word, "service": service, "region": region}
    return {name: value for name, value in labels.items() if value}


def _by_labels(entry: _Entry) -> _State | None:
    """Read Statuspage's way: `<small>when</small><br><strong>Label</strong> - text`, newest first."""
    parts = _SMALL.split(entry.content)
    planned = bool(_BANNER.search(parts[0]))
    updates = [(found.group(1).strip().lower(), part) for part in parts[1:] if (found := _STRONG.search(part))]
    told = next((label for label, _ in updates if label in _OPEN_LABELS | _PLANNED_LABELS | _DONE_LABELS), "")
    if not told and not any(label == _UNCHANGED for label, _ in updates):
        return None
    times = [_stamp(part, entry.updated or entry.published) for _, part in updates]
    planned = planned or told in _PLANNED_LABELS | {"completed"}
    return _State(
        status=EventStatus.RESOLVED if told in _DONE_LABELS else EventStatus.FIRING,
        planned=planned,
        word=(told or _UNCHANGED).replace(" ", "_"),
        description=_after_label(updates[0][1]),
        at=newest(*times),
        starts_at=entry.published if planned else min((at for at in times if at), default=None),
        ends_at=_planned_end(parts[0], entry.published) if planned else None,
    )


def _planned_end(banner: str, starts_at: datetime | None) -> datetime | None:
    """Return the end of "Jan 20, 22:00 - Jan 21, 04:00 UTC"; without a day of its own, the first after the start."""
    found = _PLAN.search(plain(banner))
    if found is None or starts_at is None:
        return None
    begins, day, clock, zone = found.groups()
    ends_at = _stamp(f"{day or begins.partition(',')[0]}, {clock} {zone}", starts_at)
    if ends_at and ends_at < starts_at and not day and ends_at.year < 9999:
        ends_at += timedelta(days=1)
    return ends_at


def _after_label(part: str) -> str:
    return plain(_STRONG.split(part, maxsplit=1)[-1]).removeprefix("-").strip()


def _stamp(part: str, near: datetime | None) -> datetime | None:
    """Return the time at the head of an update. It has no year: the one that brings it nearest to `near` is meant."""
    found = _STAMP.search(plain(part[:400]))
    if not found or not near:
        return None
    month, day, clock, zone = found.groups()
    times = [_dated(f"{day} {month} {near.year + years} {clock}:00 {zone}") for years in (-1, 0, 1)]
    return min((at for at in times if at), key=lambda at: abs(at - near), default=None)


def _dated(stamp: str) -> datetime | None:
    try:
        at = parsedate_to_datetime(stamp)
        return at.astimezone(UTC) if at.tzinfo else None  # a zone that nobody knows
    except (ValueError, OverflowError):
        return None  # 29 February


def _by_status_line(entry: _Entry) -> _State | None:
    """Read incident.io's way: `<b>Status: Resolved</b>`, the text, and a list of affected components."""
    shown = plain(entry.content)
    found = _STATUS_LINE.search(shown)
    word = found.group(1).strip().lower() if found else ""
    planned = "maintenance" in word or word in _PLANNED_LABELS
    word = word.removeprefix("maintenance").strip() or word
    done = word in _DONE_LABELS or word == "complete"
    if not found or not (done or word in _OPEN_LABELS | _PLANNED_LABELS):
        return None
    affected = _AFFECTED.search(shown)
    names = shown[affected.end() :].split("\n") if affected else []
    return _State(
        status=EventStatus.RESOLVED if done else EventStatus.FIRING,
        planned=planned or word in ("completed", "complete"),
        word=word.replace(" ", "_"),
        description=shown[found.end() : affected.start() if affected else None].strip(),
        components=tuple(_STATE_IN_BRACKETS.sub("", name).lstrip("-•* ").strip() for name in names),
    )


def _by_text(entry: _Entry) -> _State | None:
    """Guess from words; see wording.py."""
    shown = plain(entry.content)
    status = wording.status_of(entry.title, shown, chain=bool(entry.chain))
    if status is None:
        return None
    over = status is EventStatus.RESOLVED
    severity = None if over else wording.severity_of(entry.title)
    planned = wording.is_planned(entry.title)
    return _State(status, planned, "resolved" if over else "", shown, guessed=True, severity=severity)


def _newer(event: Event, known: Event | None) -> bool:
    return known is None or bool(event.at and (known.at is None or event.at > known.at))


def _ahead(state: _State, now: datetime) -> bool:
    return state.planned and bool(state.starts_at and state.starts_at > now)


def _web(value: Any) -> str:
    address = link(value)
    return address if re.match(r"https?://[^\s/]+", address) and _parses(address) else ""


def _parses(address: str) -> bool:
    try:
        return bool(urlsplit(address).hostname)
    except ValueError:
        return False

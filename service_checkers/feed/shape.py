"""The shape of a foreign feed, counted before it is parsed for good: feedparser's cost grows with the square of some.

An element with 60,000 attributes takes it over a minute. What is beyond these bounds is not a feed of a status page.
"""

from __future__ import annotations

from collections.abc import Mapping
from xml.parsers import expat

from service_event_checker.core.errors import Reason, SourceError

ELEMENTS_MAX = 30_000  # 500 entries have some 7,000; XHTML content has more
ATTRIBUTES_MAX = 100  # of one element, declarations of namespaces among them
ATTRIBUTES_TOTAL_MAX = 30_000
DEPTH_MAX = 100


def check_shape(source: str, body: bytes) -> None:
    """Read a body once without keeping anything. Raises SourceError: beyond a bound, or not well-formed."""
    try:
        _count(source, body.lstrip(), None)
    except expat.ExpatError as error:
        if _is_utf8(body):
            raise SourceError(source, Reason.GARBAGE, "not well-formed XML: HTML, or half a feed") from error
        _check_as_windows(source, body)


def _check_as_windows(source: str, body: bytes) -> None:
    """Read bytes that are not what they are declared to be as feedparser does: as windows-1252."""
    try:
        _count(source, body.lstrip().decode("cp1252", "replace").encode(), "utf-8")
    except expat.ExpatError as error:
        raise SourceError(source, Reason.GARBAGE, "not well-formed XML: HTML, or half a feed") from error


def _is_utf8(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def _count(source: str, body: bytes, encoding: str | None) -> None:
    seen = _Counts(source)
    parser = expat.ParserCreate(encoding)
    parser.StartElementHandler = seen.start
    parser.EndElementHandler = seen.end
    try:
        parser.Parse(body, True)
    except (ValueError, LookupError) as error:  # an encoding that Python does not know
        raise SourceError(source, Reason.GARBAGE, "an odd encoding instead of a feed") from error


class _Counts:
    """Counts what a parser meets, and stops it at the first bound."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._elements = self._attributes = self._depth = 0

    def start(self, _name: str, attributes: Mapping[str, str]) -> None:
        self._elements += 1
        self._depth += 1
        self._attributes += len(attributes)
        if len(attributes) > ATTRIBUTES_MAX:
            self._refuse(f"an element with more than {ATTRIBUTES_MAX} attributes")
        if self._attributes > ATTRIBUTES_TOTAL_MAX:
            self._refuse(f"more than {ATTRIBUTES_TOTAL_MAX} attributes")
        if self._elements > ELEMENTS_MAX:
            self._refuse(f"more than {ELEMENTS_MAX} elements")
        if self._depth > DEPTH_MAX:
            self._refuse(f"elements more than {DEPTH_MAX} deep")

    def end(self, _name: str) -> None:
        self._depth -= 1

    def _refuse(self, what: str) -> None:
        raise SourceError(self._source, Reason.TOO_LARGE, f"{what}, which no feed of a status page has")

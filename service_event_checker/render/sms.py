"""The text of an SMS, and how many segments it costs: GSM-7 where every character is in its alphabet, else UCS-2. Pure.

https://www.twilio.com/docs/glossary/what-is-gsm-7-character-encoding, 3GPP TS 23.038
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime

from service_event_checker.core.model import Alert, Delivery
from service_event_checker.core.vocabulary import Verb
from service_event_checker.render import own
from service_event_checker.render.notice import Notice, notice
from service_event_checker.render.own import Form
from service_event_checker.render.text import cut, line
from service_event_checker.render.texts import TEST_WORD, say

TEXT = "txt"  # the part that templates of users may write; it is cut to the segments
FORMS: Mapping[str, Form] = {TEXT: Form(limit=1_600)}  # ten segments are more than any configuration allows
TITLE_MAX = 400  # characters, before it is cut to the segments
LINK_MAX = 120  # characters; a longer address would be most of the SMS
_GSM7 = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_TWO_UNITS = frozenset("^{}\\[~]|€")
_PLAIN = str.maketrans(
    {
        "·": "-",
        "–": "-",
        "—": "-",
        "…": "...",
        "“": '"',
        "”": '"',
        "„": '"',
        "‘": "'",
        "’": "'",
        "\t": " ",
        "\u00a0": " ",
    }
    | {"`": "'", "→": "->", "•": "-"}
)


def units(text: str) -> tuple[int, bool]:
    """Return the length of a text in units of its encoding, and whether that is GSM-7."""
    if all(char in _GSM7 or char in _TWO_UNITS for char in text):
        return sum(2 if char in _TWO_UNITS else 1 for char in text), True
    return len(text.encode("utf-16-le", "replace")) // 2, False


def segments(text: str) -> int:
    """Return how many segments a text is sent in: 160 units, or 70 of UCS-2; several of 153, or 67."""
    length, gsm = units(text)
    one, several = (160, 153) if gsm else (70, 67)
    return 1 if length <= one else -(-length // several)


def text_of(delivery: Delivery, alert: Alert, now: datetime, most: int) -> str:
    """Return the SMS of a delivery in at most `most` segments: what, the internal id, the link; the title gives way.

    A link that leaves no room for the title is left out. The text of a user's template is cut at its end.
    """
    verb = Verb.OPEN if delivery.verb is Verb.UPDATE else delivery.verb
    verb = verb if alert.open else Verb.CLOSE
    told = notice(alert, verb, now, note=delivery.note if delivery.notice else "")
    if written := own.texts(replace(delivery, verb=verb), alert, told).get(TEXT):
        return _longest(lambda length: cut(written, length).translate(_PLAIN), len(written), most)[1]
    link = told.link if len(told.link) <= LINK_MAX else ""
    for end in (f"{alert.internal_id} {link}".strip(), alert.internal_id):
        if text := _fitted(told, verb, end, most):
            return text
    return cut(alert.internal_id, 60)


def _fitted(told: Notice, verb: Verb, end: str, most: int) -> str:
    """Return the longest text within `most` segments, "" if no title fits."""
    what = told.change if told.change and verb is not Verb.OPEN else say(f"severity.{told.severity}").upper()
    what = f"[{TEST_WORD}] {what}" if told.test else what
    title = line(told.subject, TITLE_MAX)
    length, text = _longest(lambda length: _joined(what, cut(title, length), end), len(title), most)
    return text if length >= min(len(title), 10) else ""


def _longest(text_of_length: Callable[[int], str], high: int, most: int) -> tuple[int, str]:
    """Return the greatest length up to `high` whose text fits `most` segments, and that text."""
    low = 0
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if segments(text_of_length(middle)) <= most else (low, middle - 1)
    return low, text_of_length(low)


def _joined(what: str, title: str, end: str) -> str:
    return say("sms", what=what, title=title, end=end).translate(_PLAIN)

"""What the words of a plain feed say: planned, over, open, or nothing; and what an entry is about. Pure.

To open takes as much proof as to end: a headline that names trouble, or a sentence in the present. A text that tells
the whole story is judged by its end.
"""

from __future__ import annotations

import re

from service_event_checker.core.vocabulary import EventStatus, Severity

_PLANNED_WORK = re.compile(r"\b(?:scheduled|planned|upcoming)\s+(?:maintenance|work|upgrade)", re.IGNORECASE)
_NORMAL_AGAIN = re.compile(r"Service is operating normally\b", re.IGNORECASE)  # AWS's headlines
_IMPACT = re.compile(r"Service (?:impact|disruption|degradation)\b", re.IGNORECASE)
_DISRUPTION = re.compile(r"Service disruption\b", re.IGNORECASE)
_INFORMATIONAL = re.compile(r"Informational message\b", re.IGNORECASE)
_NOT_DONE = re.compile(
    r"\b(?:not|n't|yet to be|partially|partly|being|until|once|when|to be|will be|should be|before)\s+"
    r"(?:\w+\s+){0,8}?(?:resolved|restored|mitigated|completed|fixed|recovered|operating normally)"
    r"|\bun(?:resolved|mitigated)\b|\bstill\s+(?:seeing|investigating|working|experiencing|impacted|affected|degraded)",
    re.IGNORECASE,
)
_DONE_TITLE = re.compile(
    r"\b(?:resolved|restored|mitigated|completed|fixed|recovered)\b|operating normally|back to normal"
    r"|\b(?:is|are)\s+(?:now\s+)?(?:back\s+)?(?:up|online|operational|healthy|reachable)\b(?!\s+to\b)"
    r"|\bback\s+(?:up|online)\b",
    re.IGNORECASE,
)
_DONE_TEXT = re.compile(
    r"\b(?:has|have)\s+(?:now\s+)?(?:been\s+)?(?:fully\s+)?(?:resolved|restored|mitigated|completed|fixed|recovered)\b"
    r"|\b(?:is|are|was|were)\s+(?:now\s+)?(?:fully\s+)?(?:resolved|restored|mitigated|fixed|recovered)\b"
    r"|operating normally|back to normal|\A\s*\[?(?:resolved|completed)\b",
    re.IGNORECASE,
)
_ALL_DONE = re.compile(
    r"\b(?:issues?|incident|event|problem|this)\s+(?:has|have|is|was|were)\s+(?:now\s+)?(?:been\s+)?(?:fully\s+)?"
    r"(?:resolved|mitigated|fixed)\b|\bservices?\s+(?:is|are)\s+(?:now\s+)?operating normally",
    re.IGNORECASE,
)
_TROUBLE_TITLE = re.compile(
    r"\b(?:investigat\w+|identified|monitoring|outage|disruption|degrad\w+|impact\w*|unavailable|interruption"
    r"|elevated|increased\s+(?:error|latenc)\w*|errors?|delay\w*|incident|experiencing|failures?|down)\b",
    re.IGNORECASE,
)
_OPEN_NOW = re.compile(
    r"\bwe(?:'re|\s+are|\s+continue\s+to)\s+(?:\w+\s+){0,2}?(?:investigat|look|work|monitor|see|experienc|aware)\w*"
    r"|\b(?:is|are|remains?)\s+(?:(?:currently|now|still|being)\s+)*(?:down|unavailable|offline|unreachable|degraded"
    r"|disrupted|interrupted|impacted|affected|impaired|delayed|failing|slow|experiencing|seeing)\b"
    r"|\b(?:has|have)\s+been\s+(?:down|unavailable|offline|unreachable)\b|\bwe\s+have\s+identified\b"
    r"|\A\s*\[?(?:investigating|identified|monitoring)\b",
    re.IGNORECASE,
)
_CLOCK = r"[^.]{0,30}?\d{1,2}:\d{2}"
_IN_THE_PAST = re.compile(rf"\b(?:between|from){_CLOCK}[^.]{{0,30}}?\b(?:and|to|until)\b{_CLOCK}", re.IGNORECASE)

_TAG = re.compile(r"\[[^\[\]]*\]|\([^()]*\)")
_WORD = re.compile(r"[\w.:/@-]+")
_STATE_WORD = re.compile(
    r"is|are|was|were|has|have|had|been|be|it|the|a|an|now|currently|still|again|back|fully|partially|went"
    r"|came|down|up|online|offline|unreachable|reachable|unavailable|available|operational|healthy"
    r"|unhealthy|working|resolved|recovered|restored|mitigated|fixed|completed|closed|open|opened|degraded"
    r"|failing|normal|operating|normally|alert|incident|update|monitor|to"
)


def is_planned(title: str) -> bool:
    return bool(_PLANNED_WORK.search(title))


def status_of(title: str, shown: str, *, chain: bool) -> EventStatus | None:
    """Return what a title and a text say; None where they say nothing for sure. `chain`: one update of several."""
    if _is_over(title, shown, chain=chain):
        return EventStatus.RESOLVED
    return EventStatus.FIRING if is_planned(title) or _is_open(title, shown) else None


def severity_of(title: str) -> Severity | None:
    """Return the level that a headline has; None where it tells none."""
    if _INFORMATIONAL.match(title):
        return Severity.INFO
    return Severity.ERROR if _DISRUPTION.match(title) else None


def subject(title: str) -> str:
    """Return what a title is about, without what it says of it: "checkout api" of "Checkout API is down"."""
    words = (word.strip(".:/-").casefold() for word in _WORD.findall(_TAG.sub(" ", title)))
    return " ".join(word for word in words if word and not _STATE_WORD.fullmatch(word))


def _is_over(title: str, shown: str, *, chain: bool) -> bool:
    if chain and _NORMAL_AGAIN.match(title):
        return True  # the text tells the whole story, with all its turns
    if _NOT_DONE.search(title):
        return False
    if chain:
        return _ends_well(shown)
    over = bool(_DONE_TITLE.search(title) or _DONE_TEXT.search(shown))
    return over and (not _NOT_DONE.search(shown) or _ends_well(shown))


def _ends_well(shown: str) -> bool:
    """Whether the last that a text says of the whole trouble is that it is over."""
    done = max((found.end() for found in _ALL_DONE.finditer(shown)), default=0)
    open_ = (found.end() for pattern in (_NOT_DONE, _OPEN_NOW) for found in pattern.finditer(shown))
    return done > max(open_, default=0)


def _is_open(title: str, shown: str) -> bool:
    if _NOT_DONE.search(title) or _NOT_DONE.search(shown) or _IMPACT.match(title):
        return True
    if _OPEN_NOW.search(title) or _OPEN_NOW.search(shown):
        return True
    return bool(_TROUBLE_TITLE.search(title)) and not _IN_THE_PAST.search(shown)

"""Whether a vendor explains an alert, and by what evidence: values. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

ENGINE = "engine"  # who judged, where no person did
LIKELY, POSSIBLE = 0.6, 0.3  # scores from which a vendor is likely, and possible


class Answer(StrEnum):
    VENDOR = "vendor"
    US = "us"
    BOTH = "both"
    UNKNOWN = "unknown"


class Clue(StrEnum):
    """What kind of fact an evidence is."""

    PRIOR = "prior"
    DECLARED = "declared"  # depends, in the configuration
    NAMED = "named"  # the vendor's host, client or error code, in the alert's own words
    COMPONENT = "component"
    REGION = "region"
    TIME = "time"
    SIBLINGS = "siblings"
    OWN_CAUSE = "own_cause"
    OWN_ACCOUNT = "own_account"
    OWN_CHANGE = "own_change"
    RATE_LIMIT = "rate_limit"
    PERSON = "person"
    PAGES = "pages"


@dataclass(frozen=True, slots=True)
class Evidence:
    """One fact in a sentence. `weight`: log-odds, positive for the vendor. `about`: the outage's key, "" for none."""

    text: str
    weight: float
    kind: Clue
    about: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """`score`: the probability that a vendor explains the alert. `explained_by`: internal ids of outages.

    `by`: ENGINE, or the person who said so.
    """

    answer: Answer
    score: float
    at: datetime
    explained_by: tuple[str, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    by: str = ENGINE

    @property
    def band(self) -> str:
        """The score in a word: digits would promise more than they can keep."""
        return "likely" if self.score >= LIKELY else "possible" if self.score >= POSSIBLE else "unlikely"

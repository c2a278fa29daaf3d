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

    `outages` says of each what it is, in words, like "GitHub: Actions are slow, since 12:03 UTC (GITHUB-7F3KQ)".
    `by`: ENGINE, or the person who said so.
    """

    answer: Answer
    score: float
    at: datetime
    explained_by: tuple[str, ...] = ()
    outages: tuple[str, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    by: str = ENGINE

    def same_as(self, other: Verdict | None) -> bool:
        """Whether another verdict says the same of the cause; scores move with every minute."""
        return other is not None and (self.answer, self.explained_by) == (other.answer, other.explained_by)

    @property
    def sentence(self) -> str:
        """Say it in one sentence, without the reasons."""
        match self.answer:
            case Answer.VENDOR:
                return f"{self.band.capitalize()} {'; '.join(self.outages)}"
            case Answer.BOTH:
                return f"Both: {'; '.join(self.outages)}; and a cause of our own"
            case Answer.US:
                return "Probably ours"
        return "Not known whether it is us or a vendor"

    @property
    def reasons(self) -> tuple[str, ...]:
        """Return the sentences of the evidence, the strongest first, each once."""
        return tuple(dict.fromkeys(item.text for item in sorted(self.evidence, key=lambda item: -abs(item.weight))))

    @property
    def band(self) -> str:
        """The score in a word: digits would promise more than they can keep."""
        return "likely" if self.score >= LIKELY else "possible" if self.score >= POSSIBLE else "unlikely"

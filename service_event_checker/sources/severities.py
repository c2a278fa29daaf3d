"""One table for the words by which those who send us alerts call a severity: Alertmanager, REST, pagers. Pure.

Vendors' status pages have tables of their own, in their modules; docs/severity.md shows all of them.
"""

from __future__ import annotations

from service_event_checker.core.vocabulary import Severity

_WORDS = {
    Severity.CRITICAL: "critical crit emergency emerg fatal disaster urgent blocker page p0 p1 sev0 sev1 s1",
    Severity.ERROR: "error err high major severe p2 sev2 s2",
    Severity.WARNING: "warning warn medium moderate average minor p3 sev3 s3",
    Severity.INFO: "info information informational notice low none debug p4 p5 sev4 sev5 s4 s5",
}
TABLE = {word: severity for severity, words in _WORDS.items() for word in words.split()}
_LONGEST = max(map(len, TABLE))


def severity_of(word: str) -> Severity | None:
    """Return what a word stands for, in any letter case; None for one that is not in the table.

    No word at all is a warning. So should be what is unknown, but the caller says so where people see it.
    """
    stripped = word.strip()
    if not stripped:
        return Severity.WARNING
    return TABLE.get(stripped.lower()) if len(stripped) <= _LONGEST else None

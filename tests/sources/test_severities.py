"""The one table of severities for senders of alerts, and its copy for people."""

from __future__ import annotations

import re

import pytest

from service_event_checker.core.vocabulary import Severity
from service_event_checker.sources.severities import TABLE, severity_of
from tests.root import ROOT

DOCS = ROOT / "docs" / "severity.md"


def test_the_documentation_has_every_word_and_no_other() -> None:
    section = DOCS.read_text().partition("## Alerts (")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (\w+) \| (`.*) \|$", section, re.MULTILINE)

    documented = {word: Severity(ours) for ours, words in rows for word in re.findall(r"`(\w+)`", words)}

    assert documented == TABLE


@pytest.mark.parametrize("word", ["", " ", "\n"])
def test_no_word_is_a_warning(word: str) -> None:
    assert severity_of(word) is Severity.WARNING


@pytest.mark.parametrize("word", ["CRITICAL", " P1 ", "Page"])
def test_letter_case_and_space_do_not_matter(word: str) -> None:
    assert severity_of(word) is Severity.CRITICAL


@pytest.mark.parametrize("word", ["apocalyptic", "crit ical", "p", "1", "x" * 10**6, "кritical"])
def test_what_is_in_no_table_is_nothing(word: str) -> None:
    assert severity_of(word) is None

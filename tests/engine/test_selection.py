"""Which events touch us, by the filters of a checker."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from service_checkers.vendors import regions
from service_event_checker.config.models import CheckerConfig, Selection
from service_event_checker.core.model import Event
from service_event_checker.core.vocabulary import Affects, Severity
from service_event_checker.engine.selection import affects_us, not_listed, void_filters
from tests.factories import event

ALL = Selection()
KEYS = {
    "components": "component",
    "groups": "group",
    "regions": "region",
    "services": "service",
    "instances": "instance",
}


def asked(seen: Event, only: Selection = ALL, except_: Selection = ALL, when_unknown: Any = "open") -> Affects:
    return affects_us(seen, only, except_, when_unknown)


def test_without_filters_everything_affects_us() -> None:
    assert asked(event()) is Affects.YES
    assert asked(event(labels={})) is Affects.YES


@pytest.mark.parametrize(("key", "label"), KEYS.items())
def test_one_of_several_names_is_enough_in_any_letter_case(key: str, label: str) -> None:
    seen = event(labels={label: "Pages\nAPI Requests"})

    assert asked(seen, Selection(**{key: (" api requests ", "Other")})) is Affects.YES
    assert asked(seen, Selection(**{key: ("Actions",)})) is Affects.NO


@pytest.mark.parametrize("key", KEYS)
def test_where_nothing_is_named_nobody_can_tell(key: str) -> None:
    only = Selection(**{key: ("Actions",)})

    assert asked(event(labels={}), only) is Affects.UNKNOWN
    assert asked(event(labels={}), only, when_unknown="ignore") is Affects.NO


def test_every_key_of_only_must_be_met_and_a_no_outweighs_an_unknown() -> None:
    only = Selection(components=("Actions",), regions=("EU",), title="^Disruption")

    assert asked(event(), only) is Affects.UNKNOWN
    assert asked(event(labels={"component": "Actions", "region": "EU"}), only) is Affects.YES
    assert asked(event(labels={"component": "Pages"}), only) is Affects.NO
    assert asked(event(title="Slow"), only) is Affects.NO


def test_severity_and_title_select_too() -> None:
    assert asked(event(severity=Severity.INFO), Selection(severities=(Severity.CRITICAL,))) is Affects.NO
    assert asked(event(), except_=Selection(severities=(Severity.ERROR,))) is Affects.NO
    assert asked(event(), except_=Selection(title="some GitHub")) is Affects.NO
    assert asked(event(), Selection(title="(?i)GITHUB services$")) is Affects.YES


def test_an_exception_covers_only_what_touches_nothing_else() -> None:
    except_ = Selection(components=("Copilot",))

    assert asked(event(labels={"component": "Copilot"}), except_=except_) is Affects.NO
    assert asked(event(labels={"component": "Copilot\nActions"}), except_=except_) is Affects.YES
    assert asked(event(labels={}), except_=except_) is Affects.YES


def test_a_broken_regular_expression_is_refused_when_the_file_is_read() -> None:
    with pytest.raises(ValidationError, match="regular expression"):
        Selection(title="(")


names = st.sampled_from(["Actions", "API", "Pages", "EU", ""])
selections = st.builds(
    Selection,
    components=st.lists(names, max_size=2).map(tuple),
    regions=st.lists(names, max_size=2).map(tuple),
    severities=st.lists(st.sampled_from(Severity), max_size=2).map(tuple),
)
events = st.builds(
    lambda severity, labels: event(severity=severity, labels=labels),
    st.sampled_from(Severity),
    st.dictionaries(st.sampled_from(["component", "region"]), st.lists(names, max_size=3).map("\n".join)),
)


@given(events, selections, selections)
def test_an_exception_never_lets_more_through(seen: Event, only: Selection, except_: Selection) -> None:
    assert asked(seen, only, except_) in (asked(seen, only), Affects.NO)


@given(events, selections, selections)
def test_ignoring_the_unknown_changes_nothing_else(seen: Event, only: Selection, except_: Selection) -> None:
    told, ignored = asked(seen, only, except_), asked(seen, only, except_, "ignore")

    assert ignored is (Affects.NO if told is Affects.UNKNOWN else told)


@given(events, selections)
def test_what_is_selected_and_excepted_alike_does_not_affect_us(seen: Event, both: Selection) -> None:
    if both.severities and seen.severity in both.severities:
        assert asked(seen, both, both) is Affects.NO


class TestComponentsThatWork:
    BULK = event(labels={"component": "Chat\nAdmin API", "operational": "Chat"})

    def test_an_incident_that_lists_a_component_is_on_it_unless_only_those_affected_are_asked_for(self) -> None:
        assert asked(self.BULK, Selection(components=("chat",))) is Affects.YES
        assert asked(self.BULK, Selection(components=("chat",), affected=True)) is Affects.NO
        assert asked(self.BULK, Selection(components=("chat", "admin api"), affected=True)) is Affects.YES

    def test_an_incident_that_names_no_component_is_on_those_in_trouble(self) -> None:
        unplaced = event(labels={"impaired": "API\nWeb"})

        assert asked(unplaced, Selection(components=("web",)), when_unknown="ignore") is Affects.YES
        assert asked(unplaced, Selection(components=("chat",))) is Affects.UNKNOWN


@pytest.mark.parametrize(
    "wrong",
    [{"except": {"affected": True, "components": ["a"]}}, {"only": {"affected": True}}],
    ids=["except", "alone"],
)
def test_affected_without_a_component_that_it_is_about_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="affected"):
        CheckerConfig.model_validate({"kind": "x", "url": "https://x.example", **wrong})


LISTED = {"component": frozenset({"Actions", "API Requests"}), "region": frozenset()}


def test_a_place_that_the_page_does_not_list_is_named_with_the_one_that_was_meant() -> None:
    only = Selection(components=("Action", "api requests"), regions=("US",))

    assert not_listed(only, Selection(components=("Zebra",)), LISTED) == (
        'only.components: the page lists no component "Action". Did you mean "Actions"?',
        'except.components: the page lists no component "Zebra". It lists API Requests, Actions',
    )


def test_of_a_page_that_lists_nothing_nothing_is_said() -> None:
    assert not_listed(Selection(components=("Actions",), instances=("NA1",)), ALL, {}) == ()


NAMES_OF_ONE = ("us-east-1", "US East (N. Virginia)", "N. Virginia", "us-east-1b", " US-EAST-1 ")


@pytest.mark.parametrize("wanted", NAMES_OF_ONE)
@pytest.mark.parametrize("named", NAMES_OF_ONE)
def test_the_names_of_a_region_and_its_zones_are_the_same(wanted: str, named: str) -> None:
    seen, selection = event(labels={"region": f"global\n{named}"}), Selection(regions=(wanted,))

    assert affects_us(seen, selection, ALL, "open", regions()) is Affects.YES
    assert affects_us(event(labels={"region": named}), ALL, selection, "open", regions()) is Affects.NO
    assert affects_us(event(labels={"region": "eu-west-1"}), selection, ALL, "open", regions()) is Affects.NO


def test_a_region_that_no_cloud_has_is_compared_as_it_is_written() -> None:
    pipelines = event(labels={"region": "US"})

    assert affects_us(pipelines, Selection(regions=("us",)), ALL, "open", regions()) is Affects.YES
    assert affects_us(pipelines, Selection(regions=("EU",)), ALL, "open", regions()) is Affects.NO


def test_a_filter_is_void_when_none_of_its_names_is_listed_and_unknown_when_nothing_is() -> None:
    only = Selection(components=("API", "Web"), groups=("West",))

    assert void_filters(only, {"component": frozenset({"web"}), "group": frozenset({"East"})}) == ("only.groups",)
    assert void_filters(only, {"component": frozenset(), "region": frozenset({"x"})}) == ()

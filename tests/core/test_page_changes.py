"""Signs that a page is another one, and the same things under new ids."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service_event_checker.core import page_changes
from service_event_checker.core.errors import Reason, SourceError
from service_event_checker.core.model import Alert, Event, PageChange, PageFacts, Snapshot
from service_event_checker.core.page_changes import Bound, PageChanged, Sign
from service_event_checker.core.vocabulary import Kind
from tests.factories import NOW, alert, event

API, WEB = {"place:a": "API"}, {"place:w": "Web"}


def snapshot(*events: Event, components: dict[str, str] | None = None, host: str = "status.example") -> Snapshot:
    return Snapshot(source="github", events=events, complete=True, components=components, host=host)


def facts(seen: Snapshot, wanted: tuple[str, ...] = (), void: tuple[str, ...] = ()) -> PageFacts:
    return page_changes.facts_of(seen, None, entry="e", wanted=wanted, void=void)


def says(seen: Snapshot, before: PageFacts, void: tuple[str, ...] = ()) -> str:
    sign = page_changes.sign_of(seen, before, void)
    return sign.what if sign else ""


@pytest.mark.parametrize(
    ("reason", "detail", "others", "is_sign"),
    [
        (Reason.GARBAGE, "HTML instead of JSON", True, True),
        (Reason.NOT_FOUND, "", True, True),
        (Reason.FORBIDDEN_ADDRESS, "not a public address", True, True),
        (Reason.UNREACHABLE, "status.example: DNS lookup failed", True, True),
        (Reason.UNREACHABLE, "status.example: DNS lookup failed", False, False),
        (Reason.UNREACHABLE, "connection refused", True, False),
        (Reason.SERVER_ERROR, "HTTP 500", True, False),
        (Reason.TIMEOUT, "", True, False),
    ],
)
def test_a_failure_is_a_sign_of_a_move_when_the_page_itself_is_not_there(
    reason: Reason, detail: str, others: bool, is_sign: bool
) -> None:
    sign = page_changes.sign_of_error(SourceError("github", reason, detail), others_answer=others)

    assert (sign is not None) == is_sign


def test_what_a_readable_page_showed_is_a_sign_as_it_is() -> None:
    sign = Sign(what="it redirects to x")

    assert page_changes.sign_of_error(PageChanged("github", sign), others_answer=False) is sign


def test_the_same_page_shows_no_sign_in_whatever_order_and_with_one_component_more() -> None:
    before = facts(snapshot(components=API | WEB), wanted=("api",))

    assert says(snapshot(components=WEB | API | {"place:n": "New"}), before) == ""
    assert says(snapshot(components=None, host=""), before) == ""
    assert says(snapshot(components={}), facts(snapshot(components={}))) == ""


def test_each_sign_is_named() -> None:
    before = facts(snapshot(components=API | WEB), wanted=("api",))

    assert says(snapshot(components=API, host="other.example"), before) == "it redirects to other.example"
    assert says(snapshot(components={}), before) == "it lists no components any more"
    assert says(snapshot(components={"place:1": "API", "place:2": "Web"}), before) == "all its components have new IDs"
    assert says(snapshot(components={"place:1": "Shop"}), before) == "it lists other components than before"
    renamed = 'a component was renamed: "API" is now "Rest API"'
    assert says(snapshot(components={"place:a": "Rest API", **WEB}), before) == renamed
    void = ("only.components", "only.groups")
    assert (
        says(snapshot(components=API), before, void[:1])
        == "only.components of this checker no longer matches anything on it"
    )
    assert "only.components, only.groups of this checker no longer match" in says(
        snapshot(components=API), before, void
    )


def test_a_filter_that_never_matched_and_a_name_that_moved_to_another_component_are_no_sign() -> None:
    before = facts(snapshot(components=API | WEB), wanted=("api",), void=("only.groups",))

    assert says(snapshot(components=API), before, ("only.groups",)) == ""
    assert says(snapshot(components={"place:a": "Old API", "place:b": "API"}), before) == ""


def test_what_a_poll_does_not_read_is_remembered_from_before() -> None:
    before = facts(snapshot(components=API))

    after = page_changes.facts_of(snapshot(host=""), before, entry="e", wanted=(), void=())

    assert after == before


def test_a_change_is_confirmed_at_its_second_poll_and_keeps_its_beginning() -> None:
    once = page_changes.changed(None, Sign(what="a"), NOW)
    twice = page_changes.changed(once, Sign(what="b"), NOW + timedelta(minutes=1))

    assert [page_changes.is_confirmed(each) for each in (None, once, twice)] == [False, False, True]
    assert twice == PageChange(since=NOW, what="b", polls=2, readable=True)


def place(id: str, name: str = "API", group: str = "") -> Alert:
    labels = {"component": name} | ({"group": group} if group else {})
    return alert(fingerprint=f"place:{id}", title=f"{name}: major outage", labels=labels)


def test_a_component_is_bound_by_its_name_and_group_where_both_are_unique() -> None:
    west, east = place("1", "DB", "West"), place("2", "DB", "East")
    listed = {"place:8": "West\nDB", "place:9": "East\nDB"}

    bound = page_changes.bind(snapshot(components=listed), [west, east], Bound({}), moved=True)

    assert bound == Bound({"place:8": "place:1", "place:9": "place:2"})


def test_components_of_one_name_are_not_told_apart() -> None:
    seen = snapshot(components={"place:8": "DB", "place:9": "DB"})

    assert page_changes.bind(seen, [place("1", "DB")], Bound({}), moved=True) == Bound({}, ("place:1",))
    both = [place("1", "API"), place("2", "API")]
    assert page_changes.bind(snapshot(components=API), both, Bound({}), moved=True).lost == ("place:1", "place:2")


def test_an_incident_is_bound_by_title_and_start_at_any_time_and_by_title_alone_after_a_move() -> None:
    known, same = alert(), event(fingerprint="new")
    later = event(fingerprint="new", starts_at=NOW + timedelta(hours=1))

    assert page_changes.bind(snapshot(same), [known], Bound({}), moved=False).aliases == {"new": known.fingerprint}
    assert page_changes.bind(snapshot(later), [known], Bound({}), moved=False) == Bound({})
    assert page_changes.bind(snapshot(later), [known], Bound({}), moved=True).aliases == {"new": known.fingerprint}


def test_what_is_still_listed_keeps_its_id_whatever_else_has_its_title() -> None:
    known = alert()
    seen = snapshot(event(), event(fingerprint="new"))

    assert page_changes.bind(seen, [known], Bound({}), moved=True) == Bound({})


def test_an_alias_lasts_as_long_as_its_alert_and_what_is_lost_until_it_is_found() -> None:
    known = alert()
    aliased = Bound({"new": known.fingerprint}, ())

    assert page_changes.bind(snapshot(event(fingerprint="new")), [known], aliased, moved=False) == aliased
    assert page_changes.bind(snapshot(), [], aliased, moved=False) == Bound({})
    lost = Bound({}, (known.fingerprint,))
    assert page_changes.bind(snapshot(), [known], lost, moved=False) == lost
    assert page_changes.bind(snapshot(event(fingerprint="x")), [known], lost, moved=False).lost == ()


def test_an_id_that_comes_back_needs_no_alias() -> None:
    known = alert()

    assert page_changes.bind(snapshot(event()), [known], Bound({"new": known.fingerprint}), moved=True) == Bound({})


def test_a_snapshot_speaks_of_the_fingerprints_of_its_alerts() -> None:
    seen = Snapshot(
        source="github",
        events=(event(fingerprint="new"),),
        unknown=frozenset({"new2"}),
        own=frozenset({"place:9"}),
        explains={"new": ("place:9", "place:*")},
    )
    bound = Bound({"new": "old", "new2": "old2", "place:9": "place:1"}, ("gone",))

    known = page_changes.inward(seen, bound)

    assert [each.fingerprint for each in known.events] == ["old"]
    assert (known.unknown, known.own) == ({"old2", "gone"}, {"place:1"})
    assert known.explains == {"old": ("place:1", "place:*")}
    assert page_changes.outward({"old", "z"}, bound.aliases) == {"new", "z"}
    assert page_changes.inward(seen, Bound({})) is seen


def test_what_has_the_title_of_a_lost_alert_may_be_it() -> None:
    same, other = (
        event(fingerprint="n", title="disruption  with some github services"),
        event(fingerprint="m", title="x"),
    )
    planned = event(fingerprint="p", kind=Kind.MAINTENANCE)

    assert page_changes.unsure(snapshot(same, other, planned), [alert()]) == {"n"}


IDS = st.sampled_from("abcdefgh")
NAMES = st.sampled_from(["API", "Web", "DB", "Mail"])


@given(
    st.lists(st.tuples(IDS, NAMES), max_size=5, unique_by=lambda each: each[0]),
    st.dictionaries(IDS.map(lambda id: f"place:{id}"), NAMES, max_size=6),
    st.lists(st.tuples(IDS, NAMES), max_size=5, unique_by=lambda each: each[0]),
    st.booleans(),
)
def test_binding_never_gives_two_things_to_one_alert_and_forgets_no_alert_of_a_moved_page(
    known: list[tuple[str, str]], components: dict[str, str], shown: list[tuple[str, str]], moved: bool
) -> None:
    alerts = [place(id, name) for id, name in known] + [alert(fingerprint=f"i{id}", title=name) for id, name in known]
    seen = snapshot(*(event(fingerprint=f"i{id}", title=name) for id, name in shown), components=components)

    bound = page_changes.bind(seen, alerts, Bound({}), moved=moved)

    assert len(set(bound.aliases.values())) == len(bound.aliases)
    assert not set(bound.aliases) & {each.fingerprint for each in alerts if each.fingerprint not in bound.lost}
    present = {each.fingerprint for each in seen.events} | set(components)
    for each in alerts if moved else []:
        name = each.fingerprint
        assert name in present or name in bound.aliases.values() or name in bound.lost

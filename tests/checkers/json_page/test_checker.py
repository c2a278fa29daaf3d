"""Any JSON page: a mapping of our own, the presets, words that nobody knows, and what is no such page at all.

Payloads are ours, in the shapes of: https://instatus.com/help/public-api, https://kb.status.io/developers/public-api,
https://status.cloud.google.com/incidents.schema.json, https://docs.cachethq.io/api-reference,
https://help.incident.io (status page widget API), https://devcenter.heroku.com/articles/heroku-status. Better Stack's
`index.json` and AWS's `currentevents` are documented nowhere; their shapes are as the pages answer.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from service_checkers.json_page.checker import Checker, Config, address_of, read_file
from service_checkers.json_page.mapping import evaluate, preset_names, read_preset
from service_event_checker.core.errors import Reason, SourceError
from service_event_checker.core.model import Event, Snapshot
from service_event_checker.core.vocabulary import EventStatus, Kind, Severity
from tests.checkers.payloads import hostile, json_values
from tests.doubles.base import Fault
from tests.doubles.vendors import Vendors

NONE: frozenset[str] = frozenset()
PRESETS = Path(__file__).parent / "data"
OWN = {
    "requires": "site",
    "incidents": "problems",
    "maintenances": "works || `[]`",
    "id": "key",
    "title": "name",
    "status": "state",
    "severity": "level",
    "url": "path",
    "starts_at": "since",
    "ends_at": "until",
    "minutes": "length",
    "updated_at": "changed",
    "description": "text",
    "components": "parts[].name",
    "regions": "region",
    "open": ["burning", 1],
    "planned": ["planned"],
    "resolved": ["out"],
    "severities": {"hot": "critical", "2": "error"},
    "complete": True,
}


@pytest.fixture
def world() -> Iterator[Vendors]:
    with Vendors() as vendors:
        yield vendors
        assert vendors.refused == []


def config(preset: str = "", at: str = "https://status.acme.example/api/problems", **mapping: Any) -> Config:
    return Config.model_validate({"kind": "json_page", "url": at, "preset": preset, "mapping": mapping})


def read(payload: Any, made: Config | None = None) -> Snapshot:
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return read_file(made or config(**OWN), "acme", body)


def problem(**changes: Any) -> dict[str, Any]:
    return {"key": "p1", "name": "Slow", "state": "burning", "level": "hot", **changes}


def page(*problems: Any, **more: Any) -> dict[str, Any]:
    return {"site": "acme", "problems": list(problems), **more}


def only_event(**changes: Any) -> Event:
    (event,) = read(page(problem(**changes))).events
    return event


def preset_file(name: str) -> bytes:
    return (PRESETS / name).read_bytes()


def test_a_mapping_tells_all_that_an_event_holds() -> None:
    written = problem(
        path="/p/1",
        since="2026-11-20T03:00:00+01:00",
        changed=1_795_147_200,
        text="<p>We <b>look</b>.</p>",
        parts=[{"name": "API"}, {"name": "Web"}, 7],
        region="eu-west",
    )

    (event,) = read(page(written)).events

    assert event == Event(
        source="acme",
        fingerprint="p1",
        kind=Kind.OUTAGE,
        status=EventStatus.FIRING,
        title="Slow",
        severity=Severity.CRITICAL,
        description="We look.",
        at=datetime(2026, 11, 20, 4, tzinfo=UTC),
        starts_at=datetime(2026, 11, 20, 2, tzinfo=UTC),
        url="https://status.acme.example/p/1",
        labels={"component": "API\nWeb", "region": "eu-west", "state": "burning"},
    )


@pytest.mark.parametrize(
    "written",
    [
        1_795_147_200,
        "1795147200",
        1_795_147_200_000,
        "1795147200000",
        "2026-11-20T04:00:00",
        "2026-11-20T05:00:00.0000000+01:00",
        "Fri Nov 20 2026 06:00:00 GMT+0200 (Eastern European Standard Time)",
    ],
)
def test_times_are_understood_as_vendors_write_them(written: Any) -> None:
    assert only_event(since=written).starts_at == datetime(2026, 11, 20, 4, tzinfo=UTC)


@pytest.mark.parametrize("written", ["0001-01-01T00:00:00", 0, "", "soon", 10**400, -5.0, True, None])
def test_what_is_no_time_is_none(written: Any) -> None:
    assert only_event(since=written).starts_at is None


@pytest.mark.parametrize(
    ("state", "kind", "status"),
    [
        ("burning", Kind.OUTAGE, EventStatus.FIRING),
        (" Burning ", Kind.OUTAGE, EventStatus.FIRING),
        (1, Kind.OUTAGE, EventStatus.FIRING),
        ("planned", Kind.MAINTENANCE, EventStatus.FIRING),
        ("out", Kind.OUTAGE, EventStatus.RESOLVED),
    ],
)
def test_each_status_has_its_meaning_in_the_tables(state: Any, kind: Kind, status: EventStatus) -> None:
    event = only_event(state=state)

    assert (event.kind, event.status) == (kind, status)


@pytest.mark.parametrize("state", ["smouldering", None, {"a": 1}])
def test_an_unknown_status_is_neither_fine_nor_an_outage(state: Any) -> None:
    snapshot = read(page(problem(state=state)))

    assert (snapshot.events, snapshot.unknown) == ((), {"p1"})
    assert "unknown status" in snapshot.warnings[0]


def test_an_unknown_severity_is_a_warning_and_is_told() -> None:
    snapshot = read(page(problem(level="lukewarm")))

    assert [event.severity for event in snapshot.events] == [Severity.WARNING]
    assert snapshot.warnings == ('p1 has an unknown severity "lukewarm"',)


@pytest.mark.parametrize(("level", "severity"), [("HOT", "critical"), (2, "error"), (None, "warning"), ("", "warning")])
def test_severities_are_looked_up_whatever_their_letters(level: Any, severity: str) -> None:
    assert only_event(level=level).severity == severity


def test_planned_work_has_a_list_of_its_own() -> None:
    _, work = read(page(problem(), works=[problem(key="w1", level=None)])).events

    assert (work.kind, work.severity) == (Kind.MAINTENANCE, Severity.INFO)


@pytest.mark.parametrize(
    ("more", "ends"),
    [
        ({"until": "2026-11-22T05:00:00Z", "length": 60}, datetime(2026, 11, 22, 5, tzinfo=UTC)),
        ({"length": "90"}, datetime(2026, 11, 22, 4, 30, tzinfo=UTC)),
        ({"length": 90}, datetime(2026, 11, 22, 4, 30, tzinfo=UTC)),
        ({"since": None, "length": 90}, None),
        *(({"length": odd}, None) for odd in (None, "", "soon", "-5", 0, True, 10**30, "9" * 5000, [60], 1.5)),
    ],
)
def test_planned_work_ends_when_the_page_says_or_so_many_minutes_after_its_start(
    more: dict[str, Any], ends: datetime | None
) -> None:
    work = problem(**{"since": "2026-11-22T03:00:00Z"} | more)

    outage, planned = read(page(problem(key="p2", until="2026-11-22T05:00:00Z"), works=[work])).events

    assert (outage.ends_at, planned.ends_at) == (None, ends)


@pytest.mark.parametrize(
    ("name", "preset"),
    [
        ("instatus.json", "instatus"),
        ("incident_io_widget.json", "incident_io"),
        ("status_io.json", "status_io"),
        ("better_stack.json", "better_stack"),
    ],
)
def test_the_presets_find_the_planned_end(name: str, preset: str) -> None:
    events = read(preset_file(name), config(preset)).events
    (planned,) = [event for event in events if event.kind is Kind.MAINTENANCE]

    assert planned.starts_at is not None
    assert planned.ends_at == planned.starts_at + timedelta(hours=1)


@pytest.mark.parametrize(
    "payload",
    [{}, [], 7, {"site": "acme"}, {"site": "acme", "problems": None}, {"problems": []}, page("x", {"key": 1.5})],
)
def test_what_is_not_the_mapped_page_is_refused(payload: Any) -> None:
    with pytest.raises(SourceError) as caught:
        read(payload)

    assert caught.value.reason is Reason.GARBAGE


def test_a_list_with_an_entry_that_cannot_be_read_is_not_complete() -> None:
    snapshot = read(page(problem(), problem(key=None)))

    assert len(snapshot.events) == 1
    assert not snapshot.complete


def test_a_list_without_end_is_read_in_part_and_is_not_complete() -> None:
    snapshot = read(page(*(problem(key=number) for number in range(1001))))

    assert (len(snapshot.events), snapshot.complete) == (1000, False)
    assert snapshot.warnings == ("only the first 1000 entries were read",)


def test_what_a_complete_list_no_longer_names_is_absent(world: Vendors) -> None:
    made = config("instatus", at=world.base("instatus") + "/summary.json", complete=True)

    snapshot = Checker("acme", made).check(frozenset({"gone"}))

    assert (snapshot.complete, snapshot.unknown) == (True, NONE)


def test_what_a_list_with_a_window_no_longer_names_is_unknown(world: Vendors) -> None:
    world.open_instatus("i1", "Slow")
    made = config("instatus", at=world.base("instatus") + "/summary.json", complete=False)

    snapshot = Checker("acme", made).check(frozenset({"gone", "i1"}))

    assert (snapshot.complete, snapshot.unknown) == (False, {"gone"})


def test_a_page_opens_changes_and_ends_an_incident(world: Vendors) -> None:
    checker = Checker("acme", config("instatus", at=world.base("instatus") + "/summary.json"))
    world.open_instatus("i1", "API is down")
    opened = checker.check(NONE)
    world.end_instatus("i1")
    over = checker.check(frozenset({"i1"}))

    assert [(event.title, event.severity) for event in opened.events] == [("API is down", Severity.CRITICAL)]
    assert (over.events, over.complete, over.unknown) == ((), True, NONE)


@pytest.mark.parametrize("how", ["html", "500", "truncated", "empty", "missing key"])
def test_a_page_that_it_cannot_read_is_unknown_not_quiet(world: Vendors, how: Any) -> None:
    world.open_instatus("i1", "API is down")
    world.broken["instatus"] = how
    made = config("instatus", at=world.base("instatus") + "/summary.json")

    with pytest.raises(SourceError):
        Checker("acme", made).check(frozenset({"i1"}))


@pytest.mark.parametrize(
    ("mapping", "said"),
    [
        ({"incidents": "problems[", "id": "key"}, "is not a JMESPath expression"),
        ({"incidents": "problems", "id": "frob(key)"}, "frob()"),
        ({"incidents": "problems", "id": "[keys(@)[0], length()]"}, "0 arguments"),
        ({"incidents": "problems"}, '"incidents" and "id"'),
        ({"incidents": "problems", "id": "key", "status": "state"}, '"open"'),
        ({"incidents": "problems", "id": "key", "severities": {"hot": "dire"}}, "critical"),
        ({"incidents": "problems", "id": "key", "titel": "name"}, "titel"),
        ({"incidents": "(" * 5000, "id": "key"}, "too long"),
        ({"incidents": "(" * 1999, "id": "key"}, "is not a JMESPath expression"),
    ],
)
def test_a_mistake_in_a_mapping_is_refused_when_it_is_read(mapping: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        config(**mapping)

    assert said in str(caught.value)


@pytest.mark.parametrize(("preset", "said"), [("statusio", 'mean "status_io"'), ("zzz", "Known are aws, better_stack")])
def test_an_unknown_preset_is_refused_with_a_hint(preset: str, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        config(preset)


def test_a_preset_may_be_changed_key_by_key() -> None:
    made = config("instatus", title="join(' ', ['Acme:', name])")
    body = {"page": {"status": "HASISSUES"}, "activeIncidents": [{"id": "i", "name": "Slow", "status": "MONITORING"}]}

    assert [event.title for event in read(body, made).events] == ["Acme: Slow"]


@pytest.mark.parametrize("preset", preset_names())
def test_every_preset_is_a_good_mapping(preset: str) -> None:
    made = config(preset)

    assert set(made.mapping.severities.values()) <= set(Severity)
    assert read_preset(preset)


def test_a_function_that_cannot_take_what_is_there_finds_nothing() -> None:
    assert evaluate("split(arn, ':')[3]", {"arn": 7}) is None
    assert evaluate("max([`1`, 'a'])", {}) is None
    assert evaluate("split(arn, ':')[3]", {"arn": "a:b:c:eu-west-1:e"}) == "eu-west-1"


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        ("https://status.acme.example", "https://status.acme.example/summary.json"),
        ("https://status.acme.example/", "https://status.acme.example/summary.json"),
        ("https://acme.example/status/summary.json", "https://acme.example/status/summary.json"),
        ("https://acme.example?page=1", "https://acme.example?page=1"),
    ],
)
def test_a_bare_host_gets_the_path_that_the_preset_knows(url: str, asked: str) -> None:
    assert address_of(url, "/summary.json") == asked


def test_credentials_of_the_address_never_reach_an_event() -> None:
    made = config(at="https://me:secret@acme.example/x?token=abc", **OWN)

    (event,) = read(page(problem()), made).events

    assert event.url == "https://acme.example/x"


def told(file: str, preset: str) -> list[tuple[str, str, str, str]]:
    snapshot = read(preset_file(file), config(preset, at="https://status.acme.example"))
    return [
        (event.fingerprint, event.kind.value, event.status.value, event.severity.value) for event in snapshot.events
    ]


def test_status_io_lists_what_is_open_by_component_and_container() -> None:
    snapshot = read(preset_file("status_io.json"), config("status_io", at="https://api.status.io/1.0/status/abc"))
    outage, work = snapshot.events

    assert told("status_io.json", "status_io") == [
        ("5f10", "outage", "firing", "error"),
        ("5f4e", "maintenance", "firing", "info"),
    ]
    assert outage.labels == {"component": "Builds", "region": "AWS"}
    assert outage.description == "Found it."
    assert outage.at == datetime(2026, 11, 20, 4, tzinfo=UTC)
    assert work.starts_at == datetime(2026, 11, 22, 2, tzinfo=UTC)
    assert snapshot.complete


def test_better_stack_is_over_when_its_state_says_so_although_it_has_no_end() -> None:
    assert told("better_stack.json", "better_stack") == [
        ("10", "outage", "resolved", "info"),
        ("11", "outage", "firing", "critical"),
        ("12", "maintenance", "firing", "info"),
    ]
    down = read(preset_file("better_stack.json"), config("better_stack")).events[1]
    assert (down.description, down.labels["component"]) == ("Newest word.", "API")


def test_cachet_tells_its_states_as_numbers_and_its_times_without_zone() -> None:
    (event,) = read(preset_file("cachet_v2.json"), config("cachet_v2")).events

    assert told("cachet_v2.json", "cachet_v2") == [("7", "outage", "firing", "warning")]
    assert event.starts_at == datetime(2026, 11, 20, 3, tzinfo=UTC)
    assert told("cachet_v3.json", "cachet_v3") == [
        ("3", "maintenance", "firing", "info"),
        ("2", "outage", "firing", "warning"),
        ("1", "outage", "resolved", "warning"),
    ]


def test_google_cloud_is_open_while_it_has_no_end() -> None:
    snapshot = read(preset_file("google_cloud.json"), config("google_cloud", at="https://status.acme.example"))
    opened = snapshot.events[0]

    assert told("google_cloud.json", "google_cloud") == [
        ("T8gm", "outage", "firing", "critical"),
        ("B7xx", "outage", "firing", "error"),
        ("3BvH", "outage", "resolved", "error"),
        ("C9yy", "outage", "resolved", "info"),
    ]
    assert opened.url == "https://status.acme.example/incidents/T8gm"
    assert opened.labels["region"] == "europe-west3\nFrankfurt (europe-west3)"
    assert opened.labels["service"] == "VMware Engine\n9H6g"
    assert not snapshot.complete


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
def test_aws_is_read_in_any_encoding_by_the_state_of_its_services(encoding: str) -> None:
    body = preset_file("aws.json").decode().encode(encoding)

    everywhere, regional, over = read(body, config("aws")).events

    assert (everywhere.status, everywhere.severity) == (EventStatus.FIRING, Severity.ERROR)
    assert everywhere.labels["region"] == "global"
    assert (regional.severity, regional.labels["region"]) == (Severity.INFO, "ap-southeast-4\nMelbourne")
    assert regional.title == "Amazon Elastic Compute Cloud: Launch delays"
    assert regional.starts_at == datetime(2026, 7, 19, 8, 5, tzinfo=UTC)
    assert over.status is EventStatus.RESOLVED  # its top status is still that of the peak


def test_instatus_may_lack_keys_and_writes_dates_like_javascript() -> None:
    old = read(preset_file("instatus_legacy.json"), config("instatus")).events[0]

    assert told("instatus.json", "instatus") == [
        ("inc1", "outage", "firing", "critical"),
        ("m1", "maintenance", "firing", "info"),
    ]
    assert (old.fingerprint, old.starts_at) == ("cl4a", datetime(2022, 6, 11, 18, 55, 50, tzinfo=UTC))
    calm = read({"page": {"status": "UP"}}, config("instatus"))
    assert (calm.events, calm.complete) == ((), True)


def test_an_instatus_page_with_issues_that_lists_none_is_not_quiet() -> None:
    with pytest.raises(SourceError):
        read({"page": {"status": "HASISSUES"}}, config("instatus"))


def test_incident_io_is_read_from_its_widget_and_its_proxy() -> None:
    assert told("incident_io_widget.json", "incident_io") == [
        ("01A", "outage", "firing", "error"),
        ("01B", "maintenance", "firing", "info"),
    ]
    (event,) = read(preset_file("incident_io_proxy.json"), config("incident_io")).events
    assert (event.severity, event.labels["component"]) == (Severity.CRITICAL, "Government")
    calm = read({"page_url": "https://s.example", "ongoing_incidents": None}, config("incident_io"))
    assert (calm.events, calm.complete) == ((), True)


def test_heroku_is_over_when_its_state_says_so_although_resolved_is_false() -> None:
    assert told("heroku.json", "heroku") == [
        ("1918", "outage", "firing", "warning"),
        ("1917", "outage", "resolved", "info"),
        ("2120", "maintenance", "resolved", "info"),
    ]


@given(json_values)
def test_any_json_is_read_or_refused(value: Any) -> None:
    hostile(read, value)


@given(st.sampled_from(preset_names()), json_values)
def test_any_json_is_read_or_refused_by_every_preset(preset: str, value: Any) -> None:
    hostile(lambda payload: read(payload, config(preset)), value)


@settings(max_examples=200)
@given(st.data())
def test_any_entry_is_read_or_left_out_by_every_preset(data: st.DataObject) -> None:
    preset = data.draw(st.sampled_from(sorted(path.stem for path in PRESETS.glob("*.json"))))
    payload = data.draw(st.deferred(lambda: mutated(json.loads(preset_file(f"{preset}.json")))))

    hostile(lambda body: read(body, config(next(name for name in preset_names() if preset.startswith(name)))), payload)


def mutated(value: Any) -> st.SearchStrategy[Any]:
    """Values like this one, with any part of it replaced or left out."""
    if isinstance(value, dict):
        whole: st.SearchStrategy[Any] = st.fixed_dictionaries(
            {}, optional={key: mutated(one) for key, one in value.items()}
        )
    elif isinstance(value, list):
        whole = st.tuples(*map(mutated, value)).map(list)
    else:
        whole = st.just(value)
    return st.one_of(whole, whole, whole, json_values)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    hostile(read, body)


def test_a_checker_keeps_its_deadline(world: Vendors) -> None:
    made = config("instatus", at=world.base("instatus") + "/summary.json").model_copy(
        update={"timeout": timedelta(seconds=0.3)}
    )
    world.script.append(Fault.HANG)

    with pytest.raises(SourceError) as caught:
        Checker("acme", made).check(NONE)

    assert caught.value.reason is Reason.TIMEOUT


def test_the_groups_of_incident_ios_proxy_are_those_of_its_structure() -> None:
    component = {"component_id": "gov", "status": "full_outage"}
    group = {"id": "g1", "name": "ChatGPT", "components": [{"component_id": "chat"}, {"component_id": "gov"}]}
    other = {"id": "g2", "name": "API", "components": [{"component_id": "rest"}]}
    summary = {
        "public_url": "https://status.acme.example",
        "components": [{"id": "gov", "name": "Government"}],
        "affected_components": [component],
        "ongoing_incidents": [
            {"id": "i1", "name": "Down", "status": "investigating", "affected_components": [component]}
        ],
        "structure": {"items": [{"group": group}, {"group": other}]},
    }

    incident = read({"summary": summary}, config("incident_io")).events[0]
    place = read({"summary": {**summary, "ongoing_incidents": []}}, config("incident_io")).events[0]

    assert (incident.labels["component"], incident.labels["group"]) == ("Government", "ChatGPT")
    assert place.labels["group"] == "ChatGPT"


def test_a_preset_tells_when_an_incident_was_posted() -> None:
    incident = {"id": "a", "external_desc": "Slow", "begin": "2026-11-20T01:00:00Z", "created": "2026-11-20T02:00:00Z"}

    (event,) = read([incident], config("google_cloud")).events

    assert (event.starts_at, event.posted_at) == (
        datetime(2026, 11, 20, 1, tzinfo=UTC),
        datetime(2026, 11, 20, 2, tzinfo=UTC),
    )

"""Templates of users at every kind of ticket system and pager: their texts are shown, harmless, and told once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from service_event_checker import plugins
from service_event_checker.core.ids import remote_key
from service_event_checker.core.ports import Previewable
from service_event_checker.core.vocabulary import Kind, ResolvedBy, Status, Verb
from service_event_checker.render import own, own_check
from service_event_checker.render.own_check import Target
from tests.destinations.cases import Case, all_cases
from tests.destinations.deliver import deliver
from tests.factories import NOW, alert, delivery

KEPT = [case for case in all_cases() if case.objects_kept]
HOSTILE = "<script>alert(1)</script> <img src=x onerror=alert(2)> [code]<b>x</b>[/code] {{ 1234 * 5678 }}"


@pytest.fixture(params=KEPT, ids=lambda case: case.name)
def case(request: pytest.FixtureRequest) -> Case:
    return request.param


@pytest.fixture
def double(case: Case, request: pytest.FixtureRequest) -> Iterator[Any]:
    with ExitStack() as stack:
        given = [request.getfixturevalue(case.real)] if case.real else []
        yield stack.enter_context(case.double(*given))
        own.use({})


@pytest.fixture
def destination(case: Case, double: Any, tmp_path: Path) -> Any:
    made: Any = case.adapter(double)
    forms = plugins.forms(made.config)
    body = next(part for part in forms if part != own.TITLE)
    folder = tmp_path / made.name
    folder.mkdir()
    (folder / f"open.{own.TITLE}").write_text("Ours: {{ alert.title }}")
    (folder / f"open.{body}").write_text("Our description of {{ alert.id }}: {{ alert.description }}")
    (folder / f"any.{body}").write_text("Our word: {{ notice.change }}")
    target = Target(name=made.name, kind=made.config.kind, forms=forms)
    owns, problems = own_check.read(tmp_path, {made.name: target}, frozenset())
    assert problems == []
    own.use(owns)
    return made


def test_a_users_templates_write_the_object_and_its_comments_and_what_is_ours_is_still_known(
    case: Case, double: Any, destination: Any
) -> None:
    firing = alert(kind=Kind.ALERT, title="DiskFull", description=HOSTILE)
    opening = delivery(firing, Verb.OPEN, destination.name)
    link = deliver(destination, opening, firing, None)
    noting = delivery(firing, Verb.NOTE, destination.name, actor="ada", note="on it", revision=2)
    for attempt in range(2):
        deliver(destination, replace(noting, attempts=attempt), firing, link)
    end = {"ended_at": NOW + timedelta(minutes=42), "resolved_by": ResolvedBy.SOURCE, "revision": 3}
    over = replace(firing, status=Status.RESOLVED, **end)
    for attempt in range(2):
        deliver(destination, delivery(over, Verb.CLOSE, destination.name, attempts=attempt), over, link)

    shown = case.shown(double)
    assert f"Our description of {firing.internal_id}" in shown
    assert shown.count("Our word: Note from ada: on it") == 1
    assert (case.objects(double), case.ended(double)) == (1, 1)
    assert destination.find(remote_key(firing.key, 1)) is not None
    assert "<script" not in shown
    assert "<img" not in shown
    assert "7006652" not in shown
    assert own.failures() == ()
    assert double.refused == []


def test_a_preview_shows_what_would_be_read_and_sends_nothing(case: Case, double: Any, destination: Any) -> None:
    firing = alert(kind=Kind.ALERT, title="DiskFull")
    assert isinstance(destination, Previewable)

    opened = destination.preview(delivery(firing, Verb.OPEN, destination.name), firing)
    noted = destination.preview(delivery(firing, Verb.NOTE, destination.name, actor="ada"), firing)

    assert opened[own.TITLE].startswith("Ours: DiskFull")
    assert [part for part, text in opened.items() if "Our description" in text]
    assert [part for part, text in noted.items() if "Our word: Note from ada" in text]
    assert case.objects(double) == 0


def test_every_kind_that_takes_templates_can_show_them() -> None:
    for kind in plugins.kinds(plugins.DESTINATIONS):
        adapter = plugins.adapter_class(kind)
        assert hasattr(adapter, "preview") or not hasattr(adapter, "forms"), kind

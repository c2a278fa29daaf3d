"""The real Redmine does what our adapter must cope with, and keeps what it was told."""

from __future__ import annotations

import pytest
import requests

from tests.real.redmine import ADMIN_KEY, BOT_KEY, Redmine

KEY = "0123456789abcdef0123"


@pytest.fixture
def project(redmine: Redmine) -> str:
    return redmine.new_project()


def test_the_bot_makes_an_issue_that_is_found_by_its_fingerprint_alone(redmine: Redmine, project: str) -> None:
    field = redmine.fingerprint_field
    redmine.create(project, "another")
    number = redmine.create(project, "Störung in 東京", key=BOT_KEY, custom_fields=[{"id": field, "value": KEY}])

    (found,) = redmine.issues(project_id=project, **{f"cf_{field}": KEY})

    assert found["id"] == number
    assert found["subject"] == "Störung in 東京"
    assert found["author"]["name"] == "Alert Bot"
    assert found["custom_fields"] == [{"id": field, "name": "Alert fingerprint", "value": KEY}]


def test_projects_do_not_see_each_others_issues(redmine: Redmine, project: str) -> None:
    redmine.create(project, "one")

    assert redmine.issues(project_id=redmine.new_project()) == []
    assert [issue["subject"] for issue in redmine.issues(project_id=project)] == ["one"]


def test_what_people_do_stands_in_the_journals(redmine: Redmine, project: str) -> None:
    number = redmine.create(project, "disk full", key=BOT_KEY)

    redmine.comment(number, "on it")
    redmine.close(number)

    note, closing = redmine.issue(number)["journals"]
    assert (note["notes"], note["user"]["name"]) == ("on it", "Jane Doe")
    assert closing["details"] == [{"property": "attr", "name": "status_id", "old_value": "1", "new_value": "5"}]
    assert redmine.issue(number)["status"] == {"id": 5, "name": "Closed", "is_closed": True}


def test_a_developer_s_forbidden_move_is_silently_not_made(redmine: Redmine, project: str) -> None:
    number = redmine.create(project, "disk full")

    assert redmine.move(number, "Rejected") == "New"
    assert redmine.move(number, "Closed", key=BOT_KEY) == "Closed"
    assert redmine.move(number, "In Progress") == "Closed"
    assert redmine.move(number, "In Progress", key=ADMIN_KEY) == "In Progress"


def test_killed_and_started_it_has_every_issue(redmine: Redmine, project: str) -> None:
    number = redmine.create(project, "disk full")

    redmine.kill()
    with pytest.raises(requests.ConnectionError):
        redmine.issue(number)
    redmine.start()

    assert [issue["id"] for issue in redmine.issues(project_id=project)] == [number]


def test_the_project_for_all_is_there(redmine: Redmine) -> None:
    number = redmine.create("ops", "disk full", key=BOT_KEY)

    assert redmine.issue(number)["project"]["name"] == "Ops"

"""Debian's Redmine as a private instance: own database, own folder; nothing under /usr, /etc or /var changes.

Trackers, statuses, roles and workflows are the stock ones: 1 New, 2 In Progress, 3 Resolved (not closed), 4 Feedback,
5 Closed, 6 Rejected, and nothing leaves Closed as a Developer. The seed adds people, keys, a custom field and projects.
"""

from __future__ import annotations

from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any

import requests

from tests.real import redmine_folder
from tests.real.http_server import HttpServer
from tests.real.parts import REDMINE

#: API keys, 40 hex digits as Redmine's own: of `alertbot` and Jane, both Developers, and of the administrator
BOT_KEY, JANE_KEY, ADMIN_KEY = "b07" * 13 + "b", "1a9e" * 10, "ad814" * 8
FINGERPRINT_FIELD = "Alert fingerprint"
#: the project whose children `new_project` makes: they inherit its members, the bot and Jane
_PARENT = "tests"
#: Redmine's own limit of a list
_PAGE = 100


class Redmine(HttpServer):
    """Keeps its data over `kill` and `start`. `folder` is empty at first, and one of `redmine_folder.private_folder`.

    The project `ops` is everybody's; `new_project` gives a test one of its own.
    """

    READY = f"/users/current.json?key={ADMIN_KEY}"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._unused = count(1)

    def start(self) -> None:
        if not (self.folder / "Gemfile").exists():
            keys = {"BOT_KEY": BOT_KEY, "JANE_KEY": JANE_KEY, "ADMIN_KEY": ADMIN_KEY}
            database = redmine_folder.seeded({**keys, "FINGERPRINT_FIELD": FINGERPRINT_FIELD})
            redmine_folder.lay_out(self.folder, database)
        super().start()

    def mend(self) -> None:
        """Bring it back to its feet, whatever a test did to it."""
        self.resume()
        if self._process is None:
            self.start()

    def command(self) -> list[str]:
        # One thread: with more, SQLite is found locked now and then, and Redmine answers 500.
        serve = ["puma", "-C", "/dev/null", "-e", "production", "-t", "1:1", "-b", f"tcp://127.0.0.1:{self.port}"]
        return redmine_folder.command(*serve, str(REDMINE.find()))

    def environment(self) -> dict[str, str]:
        return redmine_folder.environment(self.folder)

    @cached_property
    def fingerprint_field(self) -> int:
        """The id of the custom field; a filter is `cf_<id>`."""
        fields = self._get("/custom_fields.json")["custom_fields"]
        return next(int(field["id"]) for field in fields if field["name"] == FINGERPRINT_FIELD)

    def new_project(self) -> str:
        """Make a project that nobody has used yet, with the bot and Jane as Developers; return its identifier."""
        name = f"test-{next(self._unused)}"
        parent = {"parent_id": self._parent_id, "inherit_members": True}
        self._write("POST", "/projects.json", {"project": {"name": name, "identifier": name, **parent}}, ADMIN_KEY)
        return name

    def issues(self, **query: str | int) -> list[dict[str, Any]]:
        """Return all issues that the query finds, open and closed, oldest first, as the administrator sees them."""
        found: list[dict[str, Any]] = []
        while True:
            asked = {"status_id": "*", "sort": "id", **query, "limit": _PAGE, "offset": len(found)}
            page = self._get("/issues.json", **asked)
            found += page["issues"]
            if len(found) >= page["total_count"] or not page["issues"]:
                return found

    def issue(self, number: int) -> dict[str, Any]:
        """Return one issue, with its journals."""
        found: dict[str, Any] = self._get(f"/issues/{number}.json", include="journals")["issue"]
        return found

    def create(self, project: str, subject: str, *, key: str = JANE_KEY, **fields: Any) -> int:
        """Make an issue as a person does; return its number."""
        body = {"issue": {"project_id": project, "subject": subject, **fields}}
        return int(self._write("POST", "/issues.json", body, key).json()["issue"]["id"])

    def comment(self, number: int, text: str, *, key: str = JANE_KEY) -> None:
        """Write a note, as Jane does."""
        self._write("PUT", f"/issues/{number}.json", {"issue": {"notes": text}}, key)

    def move(self, number: int, status: str, *, key: str = JANE_KEY) -> str:
        """Ask for a status by its name; return the one that the issue has then.

        Where the workflow forbids the move Redmine answers 204 and changes nothing; the administrator may do all.
        """
        body = {"issue": {"status_id": self._statuses[status]}}
        self._write("PUT", f"/issues/{number}.json", body, key)
        return str(self.issue(number)["status"]["name"])

    def close(self, number: int, *, as_person: bool = True) -> None:
        """Close it: as Jane, or else as the bot."""
        reached = self.move(number, "Closed", key=JANE_KEY if as_person else BOT_KEY)
        assert reached == "Closed", f"issue {number} stays {reached}"

    @cached_property
    def _statuses(self) -> dict[str, int]:
        return {status["name"]: status["id"] for status in self._get("/issue_statuses.json")["issue_statuses"]}

    @cached_property
    def _parent_id(self) -> int:
        return int(self._get(f"/projects/{_PARENT}.json")["project"]["id"])

    def _get(self, path: str, **query: str | int) -> dict[str, Any]:
        answer = self.call("GET", path, params=query, headers={"X-Redmine-API-Key": ADMIN_KEY})
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    def _write(self, method: str, path: str, body: dict[str, Any], key: str) -> requests.Response:
        answer = self.call(method, path, json=body, headers={"X-Redmine-API-Key": key})
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer

"""`make demo`: the shipped config.json against a small simulated world on loopback, told as it happens.

An outage is found, told, ticketed, updated and resolved within a minute; another follows until Ctrl-C. The app is
the real one; only addresses are replaced, and one rule is added that tickets outages.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.doubles.azure_devops import PAT, AzureDevOps
from tests.doubles.slack import TOKEN, Slack
from tests.doubles.statuspages import StatusPages
from tests.real.server import free_port

ROOT = Path(__file__).resolve().parent.parent.parent
BEAT = 8.0  # seconds between the acts; long enough to read and to look at the page
LOOK_EVERY = 0.2


def main() -> None:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--port", type=int, default=int(os.environ.get("PORT") or 8000))
    parser.add_argument("--once", action="store_true", help="end after one outage")
    parser.add_argument("--beat", type=float, default=BEAT, help="seconds between the acts")
    chosen = parser.parse_args()
    with World(chosen.port) as world, suppress(KeyboardInterrupt):
        world.introduce()
        number = 1
        world.play(number, chosen.beat)
        while not chosen.once:
            number += 1
            world.play(number, chosen.beat)


class World:
    """The doubles, the app between them, and a narrator that looks at the doubles only."""

    def __init__(self, port: int) -> None:
        self.port = port or free_port()
        self.token = secrets.token_hex(8)
        self.pages, self.slack, self.devops = StatusPages(), Slack(), AzureDevOps()
        self.folder = tempfile.TemporaryDirectory(prefix="outage-demo-")
        self.app: subprocess.Popen[bytes] | None = None
        self._seen: dict[str, str] = {}

    def __enter__(self) -> World:
        for double in (self.pages, self.slack, self.devops):
            double.start()
        for name in ("github", "retool"):
            self.pages.page(name)
        self.pages.add_component("github", "Actions")
        self.app = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "app:app"],
            cwd=ROOT,
            env=self._environment(),
            stdout=subprocess.DEVNULL,
            stderr=(self._path / "app.log").open("wb"),
            start_new_session=True,  # Ctrl-C is the narrator's; it then stops the app
        )
        return self

    def __exit__(self, *_: object) -> None:
        if self.app is not None:
            self.app.send_signal(signal.SIGTERM)
            self.app.wait(10)
        for double in (self.pages, self.slack, self.devops):
            double.stop()
        self.folder.cleanup()

    @property
    def _path(self) -> Path:
        return Path(self.folder.name)

    def introduce(self) -> None:
        self._until("the app answers", lambda: self._app_runs() and self.pages.requests)
        say("A simulated world on this machine: two status pages, a Slack, an Azure DevOps. Nothing real is touched.")
        say(f"The page:  http://demo:{self.token}@127.0.0.1:{self.port}/   (Ctrl-C ends the demo)")

    def play(self, number: int, beat: float) -> None:
        """Let one outage come, change and go, and tell what is seen of it."""
        outage, title = f"demo{number}", "Actions: workflow runs do not start"
        say(f"\nGitHub's status page: a major incident is posted: “{title}”")
        self.pages.open_incident("github", outage, title, impact="major", components=("Actions",))
        self._until("it is told in Slack", lambda: len(self.slack.roots()) >= number)
        self._until("it is ticketed", lambda: len(self.devops.items) >= number)
        self._until("Slack links the ticket", lambda: f"edit/{number}" in self.slack.roots()[-1].shown)
        self._pause(beat)
        say("\nGitHub's status page: an update is posted")
        self.pages.update_incident("github", outage, "identified", "A bad deployment is being rolled back.")
        self._until("the message shows it", lambda: "rolled back" in self.slack.roots()[-1].shown)
        self._pause(beat)
        say("\nGitHub's status page: the incident is resolved")
        self.pages.resolve_incident("github", outage)
        self._until("the thread tells the end", lambda: self.slack.replies(self.slack.roots()[-1].ts))
        self._until("the ticket is closed", lambda: self.devops.items[number].state == "Closed")
        say(f"\nThat was one outage: {number} message(s) in Slack, {number} work item(s), nothing twice.")
        self._pause(beat)

    def _environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        return {
            **kept,
            "CONFIG_FILE": str(self._config()),
            "DATABASE_URL": f"sqlite:///{self._path}/demo.db",
            "PORT": str(self.port),
            "SLACK_BOT_TOKEN": TOKEN,
            "SLACK_CHANNEL": "#outages",
            "SLACK_API_URL": self.slack.api_url,
            "ADO_ORG_URL": self.devops.org_url,
            "ADO_PROJECT": self.devops.project,
            "ADO_PAT": PAT,
            "API_TOKENS": f"demo:read,write,act:{self.token}",
        }

    def _config(self) -> Path:
        config: dict[str, Any] = json.loads((ROOT / "config.json").read_text())
        own = {"github": f"{self.pages.url}/page/github", "retool": f"{self.pages.url}/page/retool/history.rss"}
        config["checkers"] = {
            name: {**config["checkers"][name], "url": url, "every": "2s"} for name, url in own.items()
        }
        config["rules"].append(
            {"name": "tickets", "match": ['kind="outage"'], "send": ["azure_devops"], "proceed": True}
        )
        path = self._path / "config.json"
        path.write_text(json.dumps(config))
        return path

    def _until(self, what: str, so: Callable[[], object]) -> None:
        """Watch the doubles until it is so; say every change that a person would see on the way."""
        until = time.monotonic() + 30
        while not so():
            if time.monotonic() > until or not self._app_runs():
                log = (self._path / "app.log").read_text(errors="replace")
                raise SystemExit(f"{log[-3000:]}\nthe demo waited in vain: {what}; the end of the app's log is above")
            self._tell()
            time.sleep(LOOK_EVERY)
        self._tell()

    def _pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self._tell()
            time.sleep(LOOK_EVERY)

    def _app_runs(self) -> bool:
        return self.app is not None and self.app.poll() is None

    def _tell(self) -> None:
        for place, text in self._visible():
            if self._seen.get(place) != text:
                self._seen[place] = text
                say(f"{place}\n{indented(text)}")

    def _visible(self) -> Iterator[tuple[str, str]]:
        """Return what people see, by place."""
        with self.slack.lock, self.devops.lock:
            for number, message in enumerate(self.slack.roots(), 1):
                edits = f", edited {message.edited} time(s)" if message.edited else ""
                yield f"  Slack #outages, message {number}{edits}:", message.text
                for reply in self.slack.replies(message.ts):
                    yield f"  Slack #outages, reply in the thread of message {number}:", reply.text
            for item in self.devops.items.values():
                comments = f", {len(item.comments)} comment(s)" if item.comments else ""
                yield (
                    f"  Azure DevOps, {item.type} {item.id}:",
                    f"{item.fields['System.Title']} — {item.state}{comments}",
                )


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines() if line.strip())


if __name__ == "__main__":
    main()

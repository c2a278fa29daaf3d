"""`make demo`: the app with the shipped config.json and simulated vendors, chat, tickets and pagers on loopback.

A vendor outage, an own alert and an alert that begins in a pager open, change and end within a minute and a half; then
it starts again, until Ctrl-C. The app is the real one: only addresses and credentials are replaced, and one rule is
added that opens tickets for outages. What happens is in `acts`.
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
import urllib.request
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

from tests.destinations.azure_devops.double import PAT, AzureDevOps
from tests.destinations.opsgenie import double as opsgenie
from tests.destinations.opsgenie.double import Opsgenie
from tests.destinations.pagerduty import double as pagerduty
from tests.destinations.pagerduty.double import PagerDuty
from tests.destinations.slack.double import TOKEN, Slack
from tests.doubles import acts, shown
from tests.doubles.alertmanager import Alertmanager
from tests.doubles.statuspages import StatusPages
from tests.real.server import free_port
from tests.root import ROOT

BEAT = 8.0  # seconds between what happens; long enough to read and to look at the page
LOOK_EVERY = 0.2
PATIENCE = 60.0  # seconds; on a busy machine a work item takes several


def main() -> None:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--port", type=int, default=int(os.environ.get("PORT") or 8000))
    parser.add_argument("--once", action="store_true", help="end after one round")
    parser.add_argument("--beat", type=float, default=BEAT, help="seconds between what happens")
    chosen = parser.parse_args()
    for stop in (signal.SIGTERM, signal.SIGHUP):  # also when the terminal is closed, the app is stopped
        signal.signal(stop, signal.default_int_handler)
    with World(chosen.port, chosen.beat) as world, suppress(KeyboardInterrupt):
        world.introduce()
        for number in (1,) if chosen.once else count(1):
            acts.play(world, number)


class World:
    """The doubles, the app between them, and a narrator that looks at the doubles only."""

    def __init__(self, port: int, beat: float) -> None:
        self.port, self.beat = port or free_port(), beat
        self.token = secrets.token_hex(8)
        self.pages, self.slack, self.devops = StatusPages(), Slack(), AzureDevOps()
        self.alertmanager, self.opsgenie, self.pagerduty = Alertmanager(), Opsgenie(), PagerDuty()
        self.doubles = (self.pages, self.slack, self.devops, self.alertmanager, self.opsgenie, self.pagerduty)
        self.folder = tempfile.TemporaryDirectory(prefix="outage-demo-")
        self.app: subprocess.Popen[bytes] | None = None
        self._seen: dict[str, str] = {}

    def __enter__(self) -> World:
        for double in self.doubles:
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
        for double in self.doubles:
            double.stop()
        self.folder.cleanup()

    def introduce(self) -> None:
        self.until("the app answers", lambda: self._app_runs() and self.pages.requests)
        self.say(
            "Simulated on this machine: two status pages, Alertmanager, Slack, Azure DevOps, Opsgenie and PagerDuty."
        )
        self.say("Nothing real is changed. Indented lines show what each system contains.")
        self.say(f"The page:  http://demo:{self.token}@127.0.0.1:{self.port}/   (Ctrl-C ends the demo)")

    def say(self, text: str) -> None:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()

    def post(self, route: str, body: bytes | Mapping[str, Any], headers: Mapping[str, str] | None = None) -> None:
        """Send as one of the systems would. Raises OSError when the app does not take it."""
        given = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = headers or {"Content-Type": "application/json"}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{route}", given, dict(named))  # noqa: S310
        urllib.request.urlopen(request, timeout=10).close()  # noqa: S310  # loopback

    def until(self, what: str, so: Callable[[], object]) -> None:
        """Watch the doubles until it is so; say every change that a person would see on the way."""
        until = time.monotonic() + PATIENCE
        while not so():
            if time.monotonic() > until or not self._app_runs():
                log = (self._path / "app.log").read_text(errors="replace")
                raise SystemExit(
                    f"{log[-3000:]}\nThe demo failed, it waited for: {what}. The end of the app's log is above."
                )
            self._live_on()
        self._live_on()

    def pause(self) -> None:
        until = time.monotonic() + self.beat
        while time.monotonic() < until:
            self._live_on()

    @property
    def _path(self) -> Path:
        return Path(self.folder.name)

    def _environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        return {
            **kept,
            "CONFIG_FILE": str(self._config()),
            "DATABASE_URL": f"sqlite:///{self._path}/demo.db",
            "PORT": str(self.port),
            "API_TOKENS": f"demo:read,write,act:{self.token}",
            "ALERTMANAGER_URL": self.alertmanager.url,
            "SLACK_BOT_TOKEN": TOKEN,
            "SLACK_CHANNEL": "#outages",
            "SLACK_API_URL": self.slack.api_url,
            "ADO_ORG_URL": self.devops.org_url,
            "ADO_PROJECT": self.devops.project,
            "ADO_PAT": PAT,
            "OPSGENIE_API_URL": self.opsgenie.url,
            "OPSGENIE_API_KEY": opsgenie.KEY,
            "OPSGENIE_INTEGRATION_ID": self.opsgenie.integration_id,
            "PAGERDUTY_API_URL": self.pagerduty.url,
            "PAGERDUTY_API_KEY": pagerduty.TOKEN,
            "PAGERDUTY_SERVICE_ID": pagerduty.SERVICE,
            "PAGERDUTY_EMAIL": self.pagerduty.users[pagerduty.BOT]["email"],
            "PAGERDUTY_WEBHOOK_SECRET": pagerduty.SECRET,
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

    def _app_runs(self) -> bool:
        return self.app is not None and self.app.poll() is None

    def _live_on(self) -> None:
        """Let a moment pass: webhooks are sent, and what is new in the world is told."""
        self._send("/ops-webhook", self.opsgenie.webhooks)
        self._send("/pd-webhook", self.pagerduty.webhooks)
        seen = (shown.of_slack(self.slack), shown.of_devops(self.devops))
        for place, text in (*seen[0], *seen[1], *shown.of_opsgenie(self.opsgenie), *shown.of_pagerduty(self.pagerduty)):
            if self._seen.get(place) != text:
                self._seen[place] = text
                self.say(f"  {place}\n{indented(text)}")
        time.sleep(LOOK_EVERY)

    def _send(self, route: str, webhooks: deque[tuple[dict[str, str], bytes]]) -> None:
        """Send the webhooks that wait; one that is not taken stays, as the real ones are repeated."""
        with suppress(OSError):
            while webhooks:
                headers, body = webhooks[0]
                self.post(route, body, headers)
                webhooks.popleft()


def indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines() if line.strip())


if __name__ == "__main__":
    main()

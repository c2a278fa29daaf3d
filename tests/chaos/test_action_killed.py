"""kill -9 of the process while its action runs: the run is unknown at once, and nothing ever starts it again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from service_event_checker import wiring
from service_event_checker.config.settings import Settings
from service_event_checker.core.actions import State, state_of
from service_event_checker.core.audit import verify
from service_event_checker.engine.services import Services
from tests.factories import event
from tests.root import ROOT
from tests.waiting import wait_for

STEP = """
import os, sys
from service_event_checker import wiring
from service_event_checker.config.settings import Settings
services = wiring.build(Settings.read(dict(os.environ)))
services.store.prepare()
services.runs.step(sys.argv[1])
"""


def build(environ: dict[str, str]) -> Services:
    services = wiring.build(Settings.read(environ))
    services.store.prepare()
    return services


def test_a_run_whose_process_is_killed_is_unknown_and_is_not_started_again(tmp_path: Path) -> None:
    script, mark, gate = tmp_path / "act.sh", tmp_path / "mark", tmp_path / "gate"
    script.write_text(f"#!/bin/sh\necho begun >> {mark}\nwhile [ ! -e {gate} ]; do sleep 0.1; done\n")
    script.chmod(0o755)
    config = {
        "destinations": {"chat": {"kind": "console"}},
        "rules": [{"name": "all", "send": ["chat"]}],
        "actions": {"restart": {"kind": "script", "path": str(script), "timeout": "60s"}},
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    environ = {"CONFIG_FILE": str(tmp_path / "config.json"), "DATABASE_URL": f"sqlite:///{tmp_path}/store.db"}
    services, now = build(environ), datetime.now(UTC)
    alert = services.pipeline.ingest([event()], now)[event().key]
    id = services.runs.request(alert, "restart", {}, by="ops", via="api", now=now).request.id
    command, paths = [sys.executable, "-c", STEP, id], {"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]}

    worker = subprocess.Popen(command, env=environ | paths, cwd=ROOT)
    wait_for(mark.exists)
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    after = build(environ)
    for _ in range(3):
        after.runs.step(id)
    gate.touch()

    run = after.runs.records.find(id)
    assert run is not None
    assert state_of(run, after.runs.policies["restart"], ()) is State.UNKNOWN
    assert mark.read_text() == "begun\n"
    rows = after.store.audit.list()
    assert [json.loads(row.what)["event"] for row in rows] == ["requested", "started", "ended"]
    assert verify(rows).broken == ()
    assert after.runs.records.open_ids() == []

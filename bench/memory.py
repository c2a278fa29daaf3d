"""Memory: what a server holds when it idles, and a minute after a storm of 20,000 alerts."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import Any

from bench import load
from bench.terminal import say
from bench.variants import ALERTA, POSTGRESQL_2, SQLITE_1, SQLITE_2, World

VARIANTS = (SQLITE_1.bare, SQLITE_1, SQLITE_2, POSTGRESQL_2, ALERTA)
STORM = 20_000
BATCH = 100
IDLE_SECONDS = 5.0
AFTER_SECONDS = 60.0  # what is freed later does not help the next storm


def run(world: World, *, after: float = AFTER_SECONDS) -> dict[str, Any]:
    """Return by variant the bytes `idle` and `after` the storm, and the messages that were `refused` at first.

    Alerta, which would take minutes for the storm, idles only.
    """
    found: dict[str, dict[str, int]] = {}
    with ExitStack() as stack:
        servers = {one: stack.enter_context(world.running(one))[0] for one in world.here(VARIANTS)}
        time.sleep(IDLE_SECONDS)
        for one, server in servers.items():
            found[one.name] = {"idle": server.pss()}
        stormed = {one: server for one, server in servers.items() if one != ALERTA}
        for one, server in stormed.items():
            refused = load.send_exactly(server.url + server.intake, messages=STORM // BATCH, alerts=BATCH)
            say(f"{one.name}: took {STORM:,} alerts, after {refused} answers of 503")
            found[one.name]["refused"] = refused
        time.sleep(after)
        for one, server in stormed.items():
            found[one.name]["after"] = server.pss()
    return {"bytes": found, "after": after, "missing": world.missing}

"""The warnings about the set-up that the page shows under "Needs attention"."""

from __future__ import annotations

from flask import Flask

from service_event_checker.core.model import Slot
from service_event_checker.engine.reconcile.passes import SLOT
from service_event_checker.engine.unowned import give_up
from tests.factories import NOW, event
from tests.web.conftest import CONFIG, MakeApp


def page_of(app: Flask) -> str:
    return app.test_client().get("/").get_data(as_text=True)


def test_a_destination_that_was_renamed_while_alerts_are_open_there_is_named(make_app: MakeApp) -> None:
    services = make_app().extensions["services"]
    services.pipeline.ingest([event()], NOW)
    renamed = {**CONFIG, "destinations": {"talk": {"kind": "console"}}, "rules": []}

    page = page_of(make_app(renamed))

    assert "chat: 1 open alert was sent there" in page
    assert "Add it again until they are over" in page


def test_deliveries_that_wait_for_a_destination_that_is_gone_are_named_until_somebody_decides(
    make_app: MakeApp,
) -> None:
    make_app().extensions["services"].pipeline.ingest([event()], NOW)
    app = make_app({**CONFIG, "destinations": {"talk": {"kind": "console"}}, "rules": []})
    assert "chat: 1 deliveries are waiting" in page_of(app)

    give_up(app.extensions["services"].outbox, "chat", NOW)

    assert "deliveries are waiting" not in page_of(app)


def test_what_could_not_be_reconciled_is_said(make_app: MakeApp) -> None:
    app = make_app()
    store = app.extensions["services"].store
    assert "Needs attention" not in page_of(app)

    store.put_slot(Slot(name=SLOT, due_at=NOW, warnings=("redmine: could not be asked: unreachable",)))

    assert "reconciliation: redmine: could not be asked: unreachable" in page_of(app)

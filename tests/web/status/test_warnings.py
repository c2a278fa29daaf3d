"""The warnings about the set-up that the page shows under "Needs attention"."""

from __future__ import annotations

from flask import Flask
from structlog.testing import capture_logs

from service_event_checker.core.model import Slot
from service_event_checker.core.vocabulary import Kind
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


def test_open_alerts_that_no_rule_matches_are_counted_and_named(make_app: MakeApp) -> None:
    app = make_app({**CONFIG, "rules": [{"name": "outages", "match": ['kind="outage"'], "send": ["chat"]}]})
    pipeline = app.extensions["services"].pipeline
    alerts = [event(source="alertmanager", fingerprint=str(number), kind=Kind.ALERT) for number in range(3)]
    found = pipeline.ingest([*alerts, event()], NOW)

    page = page_of(app)

    assert "3 open alerts match no rule, so that nobody is told: " in page
    assert all(found[each.key].internal_id in page for each in alerts)
    assert "match no rule" not in page_of(make_app())  # with a rule for all


def test_what_the_configuration_warns_of_is_on_the_page_and_in_the_log(make_app: MakeApp) -> None:
    app = make_app({**CONFIG, "rules": [*CONFIG["rules"], {"name": "late", "send": ["chat"]}]})
    with capture_logs() as lines:
        app.extensions["services"].log_components()

    assert "rules[1]: &#34;late&#34; is never reached" in page_of(app)
    (warning,) = (line for line in lines if line["event"] == "config_warning")
    assert warning["path"] == "rules[1]"
    assert warning["text"].startswith('"late" is never reached')

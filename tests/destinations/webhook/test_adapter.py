"""The generic webhook: a signed document for each change, which a receiver can take once."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from service_event_checker import wiring
from service_event_checker.config.load import Entry
from service_event_checker.config.settings import Settings
from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.core.vocabulary import Family, Verb
from service_event_checker.destinations.webhook import Adapter, Config, signature
from tests.destinations.webhook.double import SECRET, Hook
from tests.doubles.base import Answer, Fault
from tests.factories import alert, delivery
from tests.root import ROOT


@pytest.fixture
def hook() -> Iterator[Hook]:
    with Hook() as running:
        yield running
        assert running.refused == []


def adapter(hook: Hook, **changes: Any) -> Adapter:
    return Adapter(
        "hook", Config(**{"url": f"{hook.url}/in?token=canary4711", "secret": SECRET, "timeout": 5, **changes})
    )


def tell(hook: Hook, verb: Verb = Verb.OPEN, **changes: Any) -> None:
    adapter(hook, **changes).deliver(delivery(alert(), verb, "hook", actor="Ada", note="on it"), alert(), None)


def failure(hook: Hook, **changes: Any) -> DeliveryError:
    with pytest.raises(DeliveryError) as raised:
        tell(hook, **changes)
    return raised.value


def test_a_document_says_what_happened_and_how_the_alert_is_now(hook):
    tell(hook, Verb.NOTE)

    ((key, document),) = hook.taken.items()
    assert document["version"] == "1"
    assert document["delivery"]["id"] == key == f"{alert().key}:1:1:hook:note"
    assert (document["delivery"]["verb"], document["delivery"]["actor"], document["delivery"]["note"]) == (
        "note",
        "Ada",
        "on it",
    )
    assert document["text"]["change"] == "Note from Ada: on it"
    assert (document["alert"]["id"], document["alert"]["status"]) == (alert().internal_id, "firing")


@pytest.mark.parametrize("fault", [Fault.RESET_AFTER, Fault.ERROR_AFTER, Fault.HANG_AFTER])
def test_what_may_have_arrived_is_sent_again_with_the_same_key(hook, fault):
    hook.script.append(fault)

    error = failure(hook, timeout=0.4)
    tell(hook)

    assert error.reason.ambiguous
    assert (len(hook.taken), hook.repeated) == (1, 1)


def test_the_check_in_the_documentation_takes_our_signature_and_no_other():
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "chat-robots.md").read_text(), re.DOTALL)
    known: dict[str, Any] = {}
    exec(code, known)  # noqa: S102
    header = signature(b"{}", "s", datetime.now(UTC))

    assert known["is_genuine"](header, b"{}", "s")
    assert not known["is_genuine"](header, b"{ }", "s")
    assert not known["is_genuine"](signature(b"{}", "s", datetime(2026, 1, 1, tzinfo=UTC)), b"{}", "s")


def test_any_good_status_is_a_success_whatever_the_body(hook):
    hook.forbids = lambda _: Answer(200, b"{")

    tell(hook)


@pytest.mark.parametrize(("status", "permanent"), [(400, True), (422, True), (401, False), (404, False), (410, False)])
def test_a_refusal_of_the_document_is_final_and_one_of_the_address_waits(hook, status, permanent):
    hook.forbids = lambda _: Answer(status)

    error = failure(hook)

    assert error.permanent is permanent
    assert permanent or "check url, secret and headers" in str(error)


def test_a_wrong_secret_waits_and_no_error_holds_it(hook):
    error = failure(hook, secret="canary4711wrong")

    assert (error.reason, error.permanent) == (Reason.UNAUTHORIZED, False)
    assert "canary" not in repr(error)


def test_without_a_secret_nothing_is_signed(hook):
    hook.secret = ""
    tell(hook, secret=None)

    assert "X-Outage-Signature" not in hook.requests[0].headers


def test_it_is_repeated_for_every_severity_unless_told_otherwise():
    assert Config().on_ambiguous == "repeat"


def test_a_test_alert_sets_nothing_off(hook):
    assert adapter(hook).family is Family.MAIL
    assert "of JSON: open" in adapter(hook).dry_run(delivery(alert()), alert(test=True))
    assert hook.requests == []


@pytest.mark.parametrize(
    "headers", [{"Content-Type": "x"}, {"X-Outage-Signature": "x"}, {"a b": "x"}, {"A": "x\r\nB: y"}]
)
def test_a_header_that_is_ours_or_none_is_refused_at_start(headers):
    with pytest.raises(ValidationError) as raised:
        Config(url="https://example.com", headers=headers)

    assert "header" in str(raised.value)


@pytest.fixture
def entry(tmp_path: Path) -> Any:
    def read(environ: dict[str, str]) -> Entry[Any]:
        file = tmp_path / "config.json"
        hook = {"kind": "webhook", "url": "env:HOOK_URL", "headers": {"X-Team": "shop", "X-Key": "env:HOOK_KEY"}}
        file.write_text(json.dumps({"destinations": {"hook": hook}}))
        settings = Settings.read({"CONFIG_FILE": str(file), **environ})
        return wiring.load_config(settings).destinations[0]

    return read


def test_headers_take_their_secrets_from_the_environment(entry, hook):
    found = entry({"HOOK_URL": hook.url, "HOOK_KEY": "canary-key"})
    hook.secret = ""

    Adapter("hook", found.config).deliver(delivery(alert(), receiver="hook"), alert(), None)

    sent = hook.requests[0].headers
    assert (sent["X-Team"], sent["X-Key"]) == ("shop", "canary-key")


def test_a_header_whose_variable_is_not_set_switches_it_off(entry):
    assert entry({"HOOK_URL": "https://example.com"}).why_off == "HOOK_KEY is not set"

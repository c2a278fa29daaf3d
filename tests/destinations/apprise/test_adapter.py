"""Apprise against a loopback receiver: JSON as its json:// sends it, and what it says of failures."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.core.vocabulary import Family, Status, Verb
from service_event_checker.destinations.apprise import Adapter, Config
from tests.doubles.base import Answer, Double, Fault, Request
from tests.factories import alert, delivery
from tests.root import ROOT


class Receiver(Double):
    """`taken`: by path, what was posted there."""

    def __init__(self, port: int = 0) -> None:
        super().__init__(port)
        self.taken: dict[str, list[dict[str, Any]]] = {}

    def handle(self, request: Request) -> Answer:
        self.taken.setdefault(request.path, []).append(request.json())
        return Answer(200, b"{}")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    pytest.importorskip("apprise")
    with Receiver() as running:
        yield running


def adapter(receiver: Receiver, *paths: str, **changes: Any) -> Adapter:
    host = receiver.url.removeprefix("http://")
    urls = " ".join(f"json://{host}/{path}" for path in paths or ("canary4711",))
    return Adapter("tail", Config(**{"urls": urls, "timeout": 5, **changes}))


def send(by: Adapter, **changes: Any) -> None:
    about = alert(**changes)
    by.deliver(delivery(about, receiver="tail"), about, None)


def failure(by: Adapter) -> DeliveryError:
    with pytest.raises(DeliveryError) as raised:
        send(by)
    return raised.value


def test_each_address_gets_the_message_as_plain_text(receiver):
    about = replace(alert(title="*Disk* & <b>full</b>"), status=Status.FIRING)
    adapter(receiver, "one", "two").deliver(delivery(about, Verb.OPEN, "tail"), about, None)

    for path in ("/one", "/two"):
        (taken,) = receiver.taken[path]
        assert "*Disk* & <b>full</b>" in taken["title"]
        assert taken["type"] == "failure"
        assert f"Internal ID: {about.internal_id}" in taken["message"]
        assert f"status page: {about.url}" in taken["message"]


def test_after_a_failure_only_the_addresses_without_the_message_are_sent_to(receiver):
    by = adapter(receiver, "one", "two")
    receiver.script += [None, Fault.ERROR]

    error = failure(by)
    send(by)

    assert error.reason is Reason.SERVER_ERROR
    assert {path: len(taken) for path, taken in receiver.taken.items()} == {"/one": 1, "/two": 1}


@pytest.mark.parametrize(
    ("status", "reason", "permanent"),
    [
        (429, Reason.RATE_LIMITED, False),
        (403, Reason.FORBIDDEN, False),
        (400, Reason.REFUSED, True),
        (503, Reason.SERVER_ERROR, False),
    ],
)
def test_a_status_is_read_from_what_apprise_logs(receiver, status, reason, permanent):
    receiver.forbids = lambda _: Answer(status)

    error = failure(adapter(receiver))

    assert (error.reason, error.permanent) == (reason, permanent)
    assert "4711" not in repr(error)


def test_without_a_status_the_result_is_in_doubt(receiver):
    receiver.script.append(Fault.RESET_AFTER)

    assert failure(adapter(receiver)).reason.ambiguous


def test_a_redirect_is_not_followed(receiver):
    receiver.forbids = lambda _: Answer(302, b"", {"Location": f"{receiver.url}/elsewhere"})

    failure(adapter(receiver))

    assert [request.path for request in receiver.requests] == ["/canary4711"]


@pytest.mark.parametrize("host", ["169.254.169.254", "[fe80::1]", "168.63.129.16", "0.0.0.0"])  # noqa: S104
def test_an_address_that_only_the_platform_has_is_not_called(receiver, host):
    error = failure(Adapter("tail", Config(urls=f"json://{host}/canary4711", timeout=1)))

    assert error.reason is Reason.FORBIDDEN_ADDRESS
    assert "4711" not in repr(error)


@pytest.mark.parametrize(
    ("urls", "said"),
    [
        ("dingtalk://canary4711", 'kind "dingtalk"'),
        ("json://a/b wecombot://canary4711", 'number 2: use a destination of the kind "wecom"'),
        ("tgram://1:canary4711/2", 'kind "telegram"'),
        ("canary4711", "is not an address"),
        ("jsons://example.com/canary4711?verify=no", "verify=no"),
    ],
)
def test_what_would_be_lost_or_sent_to_anybody_is_refused_at_start(urls, said):
    with pytest.raises(ValidationError) as raised:
        Config(urls=urls)

    assert said in str(raised.value)
    assert "4711" not in str(raised.value)


def test_an_address_that_apprise_does_not_know_waits_for_a_person(receiver):
    error = failure(Adapter("tail", Config(urls="nonsense://canary4711")))

    assert (error.reason, error.permanent) == (Reason.NOT_CONFIGURED, False)


def test_a_test_alert_is_a_dry_run(receiver):
    by = adapter(receiver, "one", "two")

    assert by.family is Family.MAIL
    assert by.dry_run(delivery(alert()), alert(test=True)).startswith("message to 2 address(es): ")
    assert receiver.requests == []


def test_the_package_is_imported_with_the_first_message_only():
    program = (
        "import sys; from service_event_checker.destinations.apprise import Adapter, Config; "
        "Adapter('a', Config(urls='json://127.0.0.1:9/x')); "
        "sys.exit('apprise' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False).returncode == 0

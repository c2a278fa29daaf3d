"""What is special about SendGrid: one mail to all, one thread, and what its answers mean."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from service_event_checker import plugins
from service_event_checker.config.load import load
from service_event_checker.config.models import SourceConfig
from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.core.ids import remote_key
from service_event_checker.core.model import Alert
from service_event_checker.core.rules import Rule, Rulebook
from service_event_checker.core.vocabulary import EventStatus, Family, Severity, Verb
from service_event_checker.destinations.sendgrid import Adapter, Config
from service_event_checker.stores.sql.store import SqlStore
from tests.destinations.mail_cases import TO
from tests.destinations.sendgrid.double import KEY, SENDER, SendGrid, problem
from tests.doubles.base import Answer, Fault
from tests.factories import NOW, alert, delivery, event, receiver
from tests.process import World
from tests.sink import Clock


@pytest.fixture
def sendgrid() -> Iterator[SendGrid]:
    with SendGrid() as running:
        yield running


def adapter(sendgrid: Any, **changes: Any) -> Adapter:
    values = {"token": KEY, "sender": SENDER, "to": TO, "url": sendgrid.url, "timeout": 0.6}
    return Adapter("escalation", Config(**{**values, **changes}))


def send(sendgrid: Any, alert: Alert, verb: Verb = Verb.OPEN, **changes: Any) -> Any:
    return adapter(sendgrid).deliver(delivery(alert, verb, "escalation", **changes), alert, None)


def failure(sendgrid: Any, **changes: Any) -> DeliveryError:
    about = alert()
    with pytest.raises(DeliveryError) as raised:
        adapter(sendgrid, **changes).deliver(delivery(about, receiver="escalation"), about, None)
    told = "".join([str(raised.value), repr(raised.value), *traceback.format_exception(raised.value)])
    assert "canary-4711" not in told
    return raised.value


def test_one_mail_goes_to_all_and_says_what_where_and_how_bad(sendgrid):
    outage = alert(severity=Severity.CRITICAL, labels={"component": "Actions\nAPI"})
    link = send(sendgrid, outage)

    (mail,) = sendgrid.mails
    assert (mail.to, mail.sender, mail.sender_name) == (list(TO), SENDER, "Platform Outage Checker")
    title = "Critical · GitHub: Disruption with some GitHub services"
    assert mail.subject == f"{title} ({outage.internal_id})"
    assert "Affected:     Actions, API" in mail.text
    assert "Actions, API" in mail.html
    assert 'href="https://www.githubstatus.com/incidents/8zc63m64hy36"' in mail.html
    assert mail.headers["Importance"] == "high"
    assert mail.custom_args == {"key": remote_key(outage.key, 1)}
    assert (link.external_id, link.url) == (mail.headers["Message-ID"], "")
    assert sendgrid.refused == []


def test_no_link_is_rewritten_and_no_reader_is_counted(sendgrid):
    send(sendgrid, alert())

    assert [part["enable"] for part in sendgrid.mails[0].tracking.values()] == [False, False, False]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault.ERROR, Reason.SERVER_ERROR),
        (Fault.ERROR_AFTER, Reason.SERVER_ERROR),
        (Fault.RESET, Reason.RESET),
        (Fault.RESET_AFTER, Reason.RESET),
        (Fault.HANG, Reason.TIMEOUT),
        (Fault.HANG_AFTER, Reason.TIMEOUT),
        (Fault.GARBAGE, Reason.GARBAGE),
        (Fault.GARBAGE_AFTER, Reason.GARBAGE),
        (Fault.HTML, Reason.GARBAGE),
    ],
)
def test_a_doubtful_answer_is_ambiguous(sendgrid, fault, reason):
    sendgrid.script.append(fault)
    raised = failure(sendgrid)

    assert (raised.reason, raised.permanent, raised.reason.ambiguous) == (reason, False, True)


def test_a_used_up_quota_is_no_bad_key(sendgrid):
    sendgrid.answers.append(problem(401, "Maximum credits exceeded"))
    raised = failure(sendgrid)

    assert (raised.reason, raised.permanent, raised.retry_after) == (Reason.RATE_LIMITED, False, 900)
    assert "the quota is used up" in str(raised)


def test_a_wrong_key_waits_for_a_person(sendgrid):
    sendgrid.token = "another"
    raised = failure(sendgrid)

    assert (raised.reason, raised.permanent) == (Reason.UNAUTHORIZED, False)
    assert "check SENDGRID_API_KEY" in str(raised)


def test_a_sender_that_is_not_verified_waits_for_a_person_and_says_so(sendgrid):
    sendgrid.senders.clear()
    raised = failure(sendgrid)

    assert (raised.reason, raised.permanent) == (Reason.FORBIDDEN, False)
    assert "verified Sender Identity" in str(raised)


def test_a_key_that_an_answer_repeats_is_masked(sendgrid):
    sendgrid.answers.append(problem(401, f"the key {KEY} is unknown"))

    assert "the key *** is unknown" in str(failure(sendgrid))


@pytest.mark.parametrize("status", [400, 413, 415, 422])
def test_a_mail_that_is_refused_for_itself_is_not_sent_again(sendgrid, status):
    sendgrid.answers.append(problem(status, "no good"))
    raised = failure(sendgrid)

    assert (raised.reason, raised.permanent) == (Reason.REFUSED, True)
    assert f"HTTP {status}, no good" in str(raised)


@pytest.mark.parametrize("status", [404, 405])
def test_a_wrong_address_can_be_mended(sendgrid, status):
    sendgrid.answers.append(problem(status))
    raised = failure(sendgrid)

    assert (raised.reason, raised.permanent) == (Reason.NOT_FOUND, False)
    assert "check url" in str(raised)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": "999999"}, 3600),
        ({"X-RateLimit-Reset": "in 20 s"}, 20),
        ({"Retry-After": "the date in 20 s"}, 20),
        ({"Retry-After": "soon"}, None),
        ({}, None),
    ],
)
def test_a_rate_limit_says_how_long_to_wait(sendgrid, headers, seconds):
    soon = datetime.now(UTC) + timedelta(seconds=20)
    told = {"in 20 s": str(int(soon.timestamp())), "the date in 20 s": format_datetime(soon, usegmt=True)}
    headers = {name: told.get(value, value) for name, value in headers.items()}
    sendgrid.answers.append(Answer(429, b"", headers))
    raised = failure(sendgrid)

    assert (raised.reason, raised.permanent) == (Reason.RATE_LIMITED, False)
    assert raised.retry_after == (seconds if seconds is None else pytest.approx(seconds, abs=2))


def test_a_key_that_no_header_can_carry_is_named_as_such(sendgrid):
    raised = failure(sendgrid, token=f"{KEY}\nX: y")

    assert (raised.reason, raised.permanent) == (Reason.NOT_CONFIGURED, False)
    assert sendgrid.requests == []


def test_a_redirect_is_not_followed_with_the_key(sendgrid):
    with SendGrid() as elsewhere:
        sendgrid.answers.append(Answer(302, b"", {"Location": f"{elsewhere.url}/v3/mail/send"}))
        raised = failure(sendgrid)

        assert (raised.reason, raised.permanent) == (Reason.REFUSED, False)
        assert elsewhere.requests == []


def test_the_deadline_holds_however_an_answer_drips():
    with Dripping() as server:
        started = time.monotonic()
        raised = failure(server, timeout=0.4)

    assert raised.reason is Reason.TIMEOUT
    assert time.monotonic() - started < 10  # it never ends


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("a@x.example,b@x.example", ("a@x.example", "b@x.example")),
        (" a@x.example ; b@x.example;\n", ("a@x.example", "b@x.example")),
        ("a@x.example b@x.example", ("a@x.example", "b@x.example")),
        ("Ops Team <a@x.example>, b@x.example", ("a@x.example", "b@x.example")),
        ("a@x.example, A@X.example", ("a@x.example",)),
        (["a@x.example"], ("a@x.example",)),
        ("a@bücher.example", ("a@xn--bcher-kva.example",)),
    ],
)
def test_recipients_are_written_as_people_write_them(given, kept):
    assert Config(to=given).to == kept


@pytest.mark.parametrize("given", ["nobody", "a@x.example, @", "a@x.example\r\nBcc: b@y.example", 7, [7], "a@x..y"])
def test_what_is_no_address_is_refused_at_start(given):
    with pytest.raises(ValidationError):
        Config(to=given)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://api.eu.sendgrid.com", "https://api.eu.sendgrid.com"),
        ("https://api.eu.sendgrid.com/v3/", "https://api.eu.sendgrid.com"),
        ("https://api.eu.sendgrid.com/v3/mail/send", "https://api.eu.sendgrid.com"),
    ],
)
def test_the_address_may_name_the_api_itself(given, kept):
    assert Config(url=given).url == kept


@pytest.mark.parametrize("given", ["api.sendgrid.com", "ftp://x", "https://user:pw@x"])
def test_an_address_that_is_none_is_refused_at_start(given):
    with pytest.raises(ValidationError):
        Config(url=given)


def test_the_environment_fills_it_and_what_lacks_is_named(tmp_path):
    file = tmp_path / "config.json"
    file.write_text('{"destinations": {"escalation": {"kind": "sendgrid"}}}')
    environ = {"SENDGRID_SENDER_EMAIL": SENDER, "ESCALATE_EMAILS": "a@x.example; b@x.example"}

    (without,) = entries(file, environ)
    (entry,) = entries(file, {**environ, "SENDGRID_API_KEY": KEY, "SENDGRID_API_URL": "https://api.eu.sendgrid.com"})

    assert without.why_off == "SENDGRID_API_KEY is not set"
    assert entry.why_off == ""
    assert entry.config.to == ("a@x.example", "b@x.example")
    assert entry.config.url == "https://api.eu.sendgrid.com"


def test_the_library_is_imported_by_the_first_mail_only():
    code = "import sys, service_event_checker.destinations.sendgrid; sys.exit('sendgrid' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(("severity", "mails", "letters"), [(Severity.CRITICAL, 2, 0), (Severity.WARNING, 1, 1)])
def test_a_mail_of_unknown_fate_is_repeated_for_what_is_severe_only(sendgrid, tmp_path, severity, mails, letters):
    world = world_of(sendgrid, tmp_path)
    sendgrid.script.append(Fault.RESET_AFTER)
    world.see(event(severity=severity))

    world.settle_down()

    assert len(sendgrid.mails) == mails
    assert len({mail.headers["Message-ID"] for mail in sendgrid.mails}) == 1
    assert len(world.store.failed_deliveries()) == letters


def test_what_is_over_before_it_was_mailed_is_not_mailed(sendgrid, tmp_path):
    world = world_of(sendgrid, tmp_path)
    world.see(event(), event(status=EventStatus.RESOLVED, at=NOW + timedelta(minutes=1)))
    world.settle_down()

    assert sendgrid.mails == []


def test_an_outage_makes_two_mails_and_nothing_in_between(sendgrid, tmp_path):
    world = world_of(sendgrid, tmp_path)
    for change in ({}, {"description": "More is known."}, {"status": EventStatus.RESOLVED}):
        world.see(event(**change))
        world.settle_down()

    assert [mail.subject.partition(" ")[0] for mail in sendgrid.mails] == ["Error", "Resolved"]


def world_of(sendgrid: SendGrid, folder: Path) -> World:
    destination = adapter(sendgrid)
    store = SqlStore(f"sqlite:///{folder}/outages.db")
    store.prepare()
    mail = receiver("mail", Family.MAIL, verbs=destination.verbs, findable=False, settle=Config.SETTLE)
    book = Rulebook((Rule("all", (), ("mail",)),), (), {"mail": mail})
    return World(store, {"mail": destination}, book, Clock())


class Dripping:
    """Begins an answer and never ends it: one byte of its first line now and then."""

    def __enter__(self) -> Dripping:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._stopping = threading.Event()
        threading.Thread(target=self._drip, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._socket.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def _drip(self) -> None:
        connection, _ = self._socket.accept()
        with connection, suppress(OSError):
            connection.sendall(b"HTTP/1.1 2")
            while not self._stopping.wait(0.05):
                connection.sendall(b"a")


def entries(file: Path, environ: dict[str, str]) -> Any:
    nothing = {
        "checker_config": lambda _: None,
        "action_config": lambda _: None,
        "source_config": lambda _: SourceConfig,
        "kinds": lambda _: [],
    }
    traits = plugins.traits(datetime.now(UTC))
    return load(file, environ, destination_config=lambda _: Config, traits=traits, **nothing).destinations

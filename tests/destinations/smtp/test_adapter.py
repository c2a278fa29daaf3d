"""What is special about SMTP: who was refused, what is safe to repeat, and that nothing goes in the clear."""

from __future__ import annotations

import re
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from structlog.testing import capture_logs

from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.core.ids import remote_key
from service_event_checker.core.model import Alert
from service_event_checker.core.vocabulary import Severity, Verb
from service_event_checker.destinations.smtp.config import Config
from tests.destinations.mail_cases import SENDER, TO
from tests.destinations.smtp.mail_case import adapter
from tests.factories import alert, delivery
from tests.real.server import free_port
from tests.real.smtp import HANG_SECONDS, PASSWORD, Break, SmtpServer

DEADLINE = 1.2  # seconds, for all up to the break: on a busy machine, too
# aiosmtpd does not count TLS from the first byte as TLS when it warns
pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
FOREIGN = st.text() | st.text(alphabet="<>&\r\n.:\x0b\x0c\x1c\x85\u2028=?{}äß本🔥")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SmtpServer]:
    with SmtpServer(tmp_path) as running:
        yield running


def send(server: SmtpServer, alert: Alert, verb: Verb = Verb.OPEN, **changes: Any) -> Any:
    return adapter(server).deliver(delivery(alert, verb, "mail", **changes), alert, None)


def failure(server: SmtpServer, **changes: Any) -> DeliveryError:
    about = alert()
    with pytest.raises(DeliveryError) as raised:
        adapter(server, **changes).deliver(delivery(about, receiver="mail"), about, None)
    told = "".join([str(raised.value), repr(raised.value), *traceback.format_exception(raised.value)])
    assert "canary" not in told
    return raised.value


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_mail_goes_to_all_after_a_sign_in_over_tls(tmp_path, security):
    outage = alert(severity=Severity.CRITICAL, title="Störung: 本番 API ist langsam")
    with SmtpServer(tmp_path, security=security) as server:
        link = send(server, outage)

    (mail,) = server.mails
    assert (mail.sender, mail.recipients) == ("outages@example.com", list(TO))
    assert mail.message["Subject"] == f"Critical · GitHub: Störung: 本番 API ist langsam ({outage.internal_id})"
    assert (mail.message["From"], mail.message["To"]) == (SENDER, ", ".join(TO))
    assert mail.message["Importance"] == "high"
    assert "AUTH" in server.commands
    assert [part.get_content_type() for part in mail.message.iter_parts()] == ["text/plain", "text/html"]
    assert "Störung: 本番 API ist langsam" in mail.part("plain")
    assert "Störung: 本番 API ist langsam" in mail.part("html")
    assert link.external_id == mail.message["Message-ID"] == f"<{remote_key(outage.key, 1)}.1.open@example.com>"
    assert server.refused == []


def test_a_server_on_this_machine_needs_neither_tls_nor_a_sign_in(tmp_path):
    with SmtpServer(tmp_path, security="none", sign_in=False) as server:
        adapter(server, username="", password=None).deliver(delivery(alert(), receiver="mail"), alert(), None)

    assert len(server.mails) == 1
    assert "AUTH" not in server.commands


@pytest.mark.parametrize("host", ["mail.example.com", "10.0.0.1", "localhost.evil.example"])
def test_nothing_goes_in_the_clear_to_another_machine(host):
    with pytest.raises(ValidationError, match="this machine only"):
        Config(host=host, security="none")


def test_the_ids_stay_whole_however_long_our_own_domain_is(server):
    long = "notifications.production.operations.platform-engineering.very-long-company-name.example.com"
    about = alert(revision=4711)
    adapter(server, sender=f"a@{long}", updates=True).deliver(delivery(about, Verb.UPDATE, "mail"), about, None)

    (mail,) = server.mails
    key, host = remote_key(about.key, 1), "very-long-company-name.example.com"
    assert re.search(rf"^Message-ID:\s+<{key}\.1\.update\.4711@{host}>\r$".encode(), mail.raw, re.MULTILINE)
    assert re.search(rf"^References: <{key}@{host}>\s+<{key}\.1\.open@{host}>\r$".encode(), mail.raw, re.MULTILINE)
    assert server.refused == []


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(FOREIGN, FOREIGN)
def test_no_text_breaks_out_of_a_header_or_of_the_mail(server, one, other):
    server.mails.clear()
    about = alert(title=f"{one}\r\nBcc: evil@example.com\r\n\r\n{other}", description=f"{one}\r\n.\r\nQUIT\r\n{other}")
    send(server, about)

    (mail,) = server.mails
    assert mail.recipients == list(TO)
    assert mail.message["Bcc"] is None
    assert mail.message["Subject"].endswith(f"({about.internal_id})")
    assert about.internal_id in mail.part("plain").splitlines()[-1]
    assert server.refused == []


def test_who_is_refused_is_logged_and_the_others_get_the_mail(server):
    server.refuses["boss@example.com"] = "550 5.1.1 no such user"
    with capture_logs() as logs:
        send(server, alert())

    assert server.mails[0].recipients == ["oncall@example.com"]
    (said,) = [entry for entry in logs if entry["event"] == "mail_recipient_refused"]
    assert (said["log_level"], said["address"]) == ("warning", "boss@example.com")
    assert said["said"] == "550 5.1.1 no such user"


@pytest.mark.parametrize(
    ("replies", "permanent"),
    [(("550 no", "553 no"), True), (("450 later", "451 later"), False), (("550 no", "450 later"), False)],
)
def test_when_all_are_refused_one_that_may_change_its_mind_keeps_the_mail(server, replies, permanent):
    server.refuses.update(zip(TO, replies, strict=True))
    raised = failure(server)

    assert (raised.reason, raised.permanent) == (Reason.REFUSED, permanent)
    assert server.mails == []


@pytest.mark.parametrize("step", ["EHLO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize("play", list(Break))
def test_what_breaks_before_the_text_proves_that_nothing_was_sent(server, step, play):
    server.script[step] = play
    started = time.monotonic()
    raised = failure(server, timeout=DEADLINE)

    assert (raised.reason, raised.permanent, raised.reason.ambiguous) == (Reason.UNREACHABLE, False, False)
    assert time.monotonic() - started < HANG_SECONDS / 2
    assert server.mails == []


@pytest.mark.parametrize("takes", [True, False])
@pytest.mark.parametrize(
    ("play", "reason"),
    [
        (Break.RESET, Reason.RESET),
        (Break.HANG, Reason.TIMEOUT),
        (Break.DRIP, Reason.TIMEOUT),
        (Break.GARBAGE, Reason.GARBAGE),
    ],
)
def test_what_breaks_after_the_text_leaves_a_doubt(server, play, reason, takes):
    server.script["TEXT"], server.takes = play, takes
    started = time.monotonic()
    raised = failure(server, timeout=DEADLINE)

    assert (raised.reason, raised.permanent, raised.reason.ambiguous) == (reason, False, True)
    assert time.monotonic() - started < HANG_SECONDS / 2


@pytest.mark.parametrize(
    ("step", "reply", "reason", "permanent"),
    [
        ("EHLO", "421 4.3.2 too busy", Reason.UNREACHABLE, False),
        ("STARTTLS", "454 4.7.0 not now", Reason.UNREACHABLE, False),
        ("AUTH", "535 5.7.8 no", Reason.UNAUTHORIZED, False),
        ("AUTH", "454 4.7.0 later", Reason.REFUSED, False),
        ("MAIL", "530 5.7.0 sign in", Reason.UNAUTHORIZED, False),
        ("MAIL", "550 5.7.1 not your address", Reason.REFUSED, True),
        ("MAIL", "451 4.3.0 later", Reason.REFUSED, False),
        ("RCPT", "421 4.7.0 too many", Reason.UNREACHABLE, False),
        ("DATA", "451 4.3.0 later", Reason.REFUSED, False),
        ("TEXT", "421 4.3.0 closing", Reason.UNREACHABLE, False),
        ("TEXT", "451 4.7.1 greylisted", Reason.REFUSED, False),
        ("TEXT", "554 5.7.1 looks like spam", Reason.REFUSED, True),
    ],
)
def test_a_servers_no_is_no_doubt(server, step, reply, reason, permanent):
    server.script[step] = reply
    raised = failure(server)

    assert (raised.reason, raised.permanent, raised.reason.ambiguous) == (reason, permanent, False)
    assert reply in str(raised)
    assert server.mails == []


def test_a_wrong_password_waits_for_a_person_and_is_named_nowhere(server):
    server.password = "another"
    raised = failure(server)

    assert (raised.reason, raised.permanent) == (Reason.UNAUTHORIZED, False)
    assert "check SMTP_USERNAME and SMTP_PASSWORD" in str(raised)


def test_a_password_that_no_server_can_read_is_named_nowhere_either(server):
    assert failure(server, password="canary-ä").reason is Reason.UNAUTHORIZED


def test_a_password_that_an_answer_repeats_is_masked(server):
    server.script["MAIL"] = f"550 {PASSWORD} is not an address"

    assert "*** is not an address" in str(failure(server))


def test_a_server_that_cannot_be_reached_is_named(server):
    port = free_port()

    assert f"no connection to 127.0.0.1:{port}" in str(failure(server, host="127.0.0.1", port=port))


def test_a_certificate_that_nobody_vouches_for_stops_it_before_the_password(server):
    raised = failure(server, ca_file="")

    assert (raised.reason, raised.permanent) == (Reason.UNREACHABLE, False)
    assert "certificate is not trusted" in str(raised)
    assert "AUTH" not in server.commands


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_certificate_of_another_name_is_none(tmp_path, security):
    with SmtpServer(tmp_path, security=security) as server:
        assert "certificate is not trusted" in str(failure(server, host="127.0.0.1"))


@pytest.mark.parametrize("text", [None, "no certificate"])
def test_a_ca_file_that_cannot_be_used_is_named(server, tmp_path, text):
    file = tmp_path / "other.pem"
    if text:
        file.write_text(text)
    raised = failure(server, ca_file=str(file))

    assert (raised.reason, raised.permanent) == (Reason.NOT_CONFIGURED, False)
    assert "ca_file" in str(raised)


def test_a_server_without_starttls_gets_nothing(tmp_path):
    with SmtpServer(tmp_path, security="none", sign_in=False) as server:
        raised = failure(server, security="starttls")

    assert (raised.reason, raised.permanent) == (Reason.UNREACHABLE, False)
    assert "not offered" in str(raised)
    assert server.commands == ["EHLO"]


def test_a_server_without_sign_in_gets_no_password(tmp_path):
    with SmtpServer(tmp_path, security="none", sign_in=False) as server:
        raised = failure(server)

    assert (raised.reason, raised.permanent) == (Reason.UNAUTHORIZED, False)
    assert server.commands == ["EHLO"]


@pytest.mark.parametrize(
    ("given", "secured_by", "port"),
    [
        ({}, "starttls", 587),
        ({"port": "465"}, "tls", 465),
        ({"port": "2525"}, "starttls", 2525),
        ({"security": "tls"}, "tls", 465),
        ({"security": "none"}, "none", 25),
        ({"security": "starttls", "port": 465}, "starttls", 465),
    ],
)
def test_port_and_security_follow_from_each_other(given, secured_by, port):
    config = Config(host="localhost", **given)

    assert (config.secured_by, config.at_port) == (secured_by, port)


@pytest.mark.parametrize("sender", ["apikey", "a@x\r\nBcc: b@y", "A <b>"])
def test_a_sender_that_is_no_address_is_refused_at_start(sender):
    with pytest.raises(ValidationError, match="not a mail address"):
        Config(sender=sender)


def test_a_server_whose_name_is_not_one_proves_that_nothing_was_sent(server):
    assert failure(server, host="no..such.host").reason is Reason.UNREACHABLE

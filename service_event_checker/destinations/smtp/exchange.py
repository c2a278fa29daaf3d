"""One mail's way to an SMTP server, step by step, and what an error at each step means.

As long as the text of a mail has not begun to leave us, a failure proves that it was not sent; after that only the
server's answer tells (RFC 5321).
"""

from __future__ import annotations

import re
import smtplib
import ssl
from collections.abc import Callable
from contextlib import suppress

from service_event_checker.config.models import secret
from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.destinations.smtp.config import Config
from service_event_checker.destinations.smtp.connection import Line
from service_event_checker.http import outbound
from service_event_checker.http.deadline import Deadline
from service_event_checker.render import mail as text_mail
from service_event_checker.render.text import line

DETAIL_MAX = 200
_SIGN_IN = frozenset({530, 534, 535, 538})  # RFC 4954: a person must correct it
_BEFORE_SIGN_IN = frozenset({"the greeting", "EHLO", "STARTTLS"})
_DOT = re.compile(rb"^\.", re.MULTILINE)


class _Refused(smtplib.SMTPException):
    """What the server answered to `step` where it should have said yes."""

    def __init__(self, step: str, code: int, said: bytes) -> None:
        super().__init__(step, code)
        self.step, self.code, self.said = step, code, said


class Exchange:
    """One mail's way to the server. `leaving`: its text has begun to leave us, so that it may have been taken."""

    def __init__(self, config: Config, deadline: Deadline) -> None:
        self._config = config
        self._deadline = deadline
        self._step = "ca_file"
        self.leaving = False

    def carry(self, message: bytes) -> dict[str, str]:
        """Hand the message over; return the refused recipients and why. Raises what `failure` translates."""
        return self._converse(lambda server: self._hand_over(server, message))

    def rehearse(self) -> dict[str, str]:
        """Do all that comes before a mail's text, then reset (RFC 5321 4.1.1.5): nothing is sent. Like `carry`."""
        return self._converse(self._reset)

    def _converse(self, end: Callable[[Line], None]) -> dict[str, str]:
        by = self._config.secured_by
        ca_file = self._config.ca_file or outbound.shared().ca_file or None
        trust = ssl.create_default_context(cafile=ca_file) if by != "none" else None
        self._step = "the greeting"
        server = Line(self._config, self._deadline, trust if by == "tls" else None)
        try:
            self._greet(server, trust if by == "starttls" else None)
            refused = self._address(server)
            end(server)
            with suppress(smtplib.SMTPException, OSError):
                server.quit()  # a courtesy: the mail is theirs
        finally:
            server.close()
        return refused

    def failure(self, error: Exception) -> DeliveryError:
        """Say what an error means, and whether the mail may be on its way in spite of it."""
        if self._deadline.over:  # whatever was read last may be half of a line
            reason = Reason.TIMEOUT if self.leaving else Reason.UNREACHABLE
            return DeliveryError(reason, f"{self._step}: no answer in time")
        if isinstance(error, _Refused):
            return self._answered(error.code, error.said)
        if isinstance(error, smtplib.SMTPResponseException):
            said = error.smtp_error
            return self._answered(error.smtp_code, said.encode() if isinstance(said, str) else said)
        if self.leaving:
            return DeliveryError(Reason.RESET, "the connection broke after the mail had begun to leave")
        return self._before(error)

    def _greet(self, server: Line, trust: ssl.SSLContext | None) -> None:
        self._step = "EHLO"
        _expect(server.ehlo(), self._step, 250)
        if trust:
            self._step = "STARTTLS"
            if not server.has_extn("starttls"):
                raise _Refused(self._step, 502, b"not offered, and nothing is sent in the clear")
            server.starttls(context=trust)
            _expect(server.ehlo(), self._step, 250)
        if self._config.username:
            self._step = "AUTH"
            if not server.has_extn("auth"):
                raise _Refused(self._step, 502, b"not offered")
            server.login(self._config.username, secret(self._config.password))

    def _address(self, server: Line) -> dict[str, str]:
        """Name sender and recipients; raises when the server takes none of them."""
        self._step = "MAIL FROM"
        _expect(server.mail(text_mail.mailbox(self._config.sender)[1]), self._step, 250)
        self._step = "RCPT TO"
        refused: dict[str, tuple[int, bytes]] = {}
        for address in self._config.to:
            code, said = server.rcpt(address)
            if code not in (250, 251):
                refused[address] = (code, said)
            if code in (-1, 421):
                raise _Refused(self._step, code, said)
        if len(refused) == len(self._config.to):
            mendable = [answer for answer in refused.values() if answer[0] < 500]
            raise _Refused(self._step, *(mendable or list(refused.values()))[0])
        return {address: f"{code} {self._words(said)}" for address, (code, said) in refused.items()}

    def _hand_over(self, server: Line, message: bytes) -> None:
        self._step = "DATA"
        _expect(server.docmd("DATA"), self._step, 354)
        self.leaving = True
        server.send(_DOT.sub(b"..", message) + b".\r\n")
        _expect(server.getreply(), self._step, 250)

    def _reset(self, server: Line) -> None:
        self._step = "RSET"
        _expect(server.rset(), self._step, 250)

    def _answered(self, code: int, said: bytes) -> DeliveryError:
        detail = f"{self._step}: {code} {self._words(said)}".rstrip()
        if not 200 <= code <= 599:
            reason = Reason.GARBAGE if self.leaving else Reason.UNREACHABLE
            return DeliveryError(reason, f"{self._step}: the answer cannot be read")
        if code == 421 or self._step in _BEFORE_SIGN_IN:
            return DeliveryError(Reason.UNREACHABLE, detail)
        if code in _SIGN_IN or (self._step == "AUTH" and code >= 500):
            return DeliveryError(Reason.UNAUTHORIZED, f"{detail}, check SMTP_USERNAME and SMTP_PASSWORD")
        return DeliveryError(Reason.REFUSED, detail, permanent=code >= 500)

    def _before(self, error: Exception) -> DeliveryError:
        """Say what went wrong while nothing of the mail had left us."""
        if self._step == "ca_file":
            return DeliveryError(Reason.NOT_CONFIGURED, "ca_file cannot be read or holds no certificate")
        if isinstance(error, ssl.SSLCertVerificationError):
            why = line(error.verify_message, 100)
            return DeliveryError(Reason.UNREACHABLE, f"the server's certificate is not trusted: {why}")
        if self._step == "AUTH" and isinstance(error, UnicodeError):
            return DeliveryError(Reason.UNAUTHORIZED, "AUTH: SMTP_USERNAME and SMTP_PASSWORD must be ASCII")
        if self._step == "AUTH" and type(error) is smtplib.SMTPException:
            return DeliveryError(Reason.UNAUTHORIZED, "AUTH: the server offers no way that we know")
        if not self._deadline.connected:
            return DeliveryError(Reason.UNREACHABLE, f"no connection to {self._config.host}:{self._config.at_port}")
        return DeliveryError(Reason.UNREACHABLE, f"{self._step}: the connection broke")

    def _words(self, said: bytes) -> str:
        """Return the server's words, without what we signed in with."""
        words = said.decode("utf-8", "replace")
        password = secret(self._config.password)
        return line(words.replace(password, "***") if password else words, DETAIL_MAX)


def _expect(answer: tuple[int, bytes], step: str, code: int) -> None:
    if answer[0] != code:
        raise _Refused(step, *answer)

"""What `config.json` and the environment say of a PagerDuty service."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field, SecretStr, field_validator

from service_event_checker.config.fields import Address, by_severity
from service_event_checker.config.models import DestinationConfig
from service_event_checker.core.vocabulary import Severity

Urgency = Literal["high", "low"]


class Config(DestinationConfig):
    """`service_id`: whose escalation policy is paged. `email`: the automation user's, sent as `From` with each change.

    `user`: the automation user by name, e-mail or id, if not by `email`. `urgencies` by severity; `priorities`: ids of
    priorities by severity, none if left out. `webhook_secret` verifies what comes to /pd-webhook. `url`: of the API;
    https://api.eu.pagerduty.com for accounts in the EU.
    """

    DISPLAY_NAME: ClassVar[str] = "PagerDuty"
    RATE: ClassVar[tuple[float, int]] = (2.0, 5)  # 960 calls a minute, far fewer creations: made for human speed
    ENV: ClassVar[dict[str, tuple[str, ...]]] = {
        "url": ("PAGERDUTY_API_URL",),
        "token": ("PAGERDUTY_API_KEY",),
        "service_id": ("PAGERDUTY_SERVICE_ID",),
        "email": ("PAGERDUTY_EMAIL",),
        "user": ("PAGERDUTY_USER",),
        "webhook_secret": ("PAGERDUTY_WEBHOOK_SECRET",),
    }
    NEEDS: ClassVar[tuple[str, ...]] = ("token", "service_id")
    INTAKE: ClassVar[str] = "/pd-webhook"

    kind: Literal["pagerduty"] = "pagerduty"
    url: Address = "https://api.pagerduty.com"
    """EU: `https://api.eu.pagerduty.com`"""
    token: SecretStr | None = None
    """a REST API key with write access to incidents"""
    service_id: str = ""
    """`P…`: the service whose escalation policy is paged"""
    email: str = ""
    """e-mail of the automation user, sent as `From`"""
    user: str = ""
    """name, e-mail or ID of the automation user; its changes are ignored when they come back; default: by `email`"""
    webhook_secret: SecretStr | None = None
    """secret of the V3 webhook to `/pd-webhook`; shown once, when it is made"""
    urgencies: Mapping[Severity, Urgency] = Field(default=by_severity("high", "high", "low", "low"))
    """urgency by severity"""
    priorities: Mapping[Severity, str] = Field(default={})
    """IDs of priorities by severity; default: none"""

    @field_validator("email")
    @classmethod
    def _an_address(cls, email: str) -> str:
        email = email.strip()
        if email and not re.fullmatch(r"[!-?A-~]+@[!-?A-~]+", email):
            raise ValueError("is not an e-mail address. Give that of the automation user")
        return email

    @property
    def sender(self) -> str:
        """The e-mail that writes are made as."""
        return self.email or (self.user.strip() if "@" in self.user else "")

    def lacks(self) -> str:
        return "" if self.sender else "PAGERDUTY_EMAIL is not set"

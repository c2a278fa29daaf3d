"""What `config.json` and the environment say of a ServiceNow instance."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, ClassVar, Literal

from pydantic import Field, SecretStr, field_validator

from service_event_checker.config.fields import by_severity, web_address
from service_event_checker.config.models import DestinationConfig
from service_event_checker.core.vocabulary import Severity
from service_event_checker.destinations.servicenow.client import NEW

_OWN_FIELDS = frozenset({"sys_id", "number", "state", "correlation_id", "correlation_display", "impact", "urgency"})
_SET_AT_CLOSE = frozenset({"close_code", "close_notes", "work_notes"})
Level = Annotated[int, Field(ge=1, le=3)]


class Config(DestinationConfig):
    """`url` is the instance's address or its name. `impact` and `urgency` (1 high to 3 low) go by severity; ServiceNow
    makes the priority of them.

    `assignment_group` is the group's sys_id. `fields` are set on creation, by the names of columns. `close_code` is one
    of the instance's choices; `close_notes` replaces what we would say of the end,
    `close_fields` are set with it. `reopen_state`: what a resolved
    incident goes back to.
    """

    DISPLAY_NAME: ClassVar[str] = "ServiceNow"
    REOPEN_WITHIN: ClassVar[timedelta] = timedelta(hours=72)
    UPDATE_EVERY: ClassVar[timedelta] = timedelta(minutes=5)
    RATE: ClassVar[tuple[float, int]] = (1.0, 5)  # an instance's own limit is per hour and unknown; its 429 tells
    ENV: ClassVar[dict[str, tuple[str, ...]]] = {
        "url": ("SERVICENOW_URL",),
        "username": ("SERVICENOW_USERNAME",),
        "password": ("SERVICENOW_PASSWORD",),
    }
    NEEDS: ClassVar[tuple[str, ...]] = ("url", "username", "password")

    kind: Literal["servicenow"] = "servicenow"
    url: Annotated[str, web_address("https://acme.service-now.com", of_name="https://{}.service-now.com")] = ""
    """`https://<instance>.service-now.com`, or the name of the instance"""
    username: str = ""
    """a dedicated user"""
    password: SecretStr | None = None
    """its password"""
    impact: Mapping[Severity, Level] = Field(default=by_severity(1, 2, 2, 3))
    """impact by severity"""
    urgency: Mapping[Severity, Level] = Field(default=by_severity(1, 1, 2, 3))
    """urgency by severity"""
    assignment_group: str = ""
    """sys_id of the group"""
    fields: Mapping[str, str | int | float | bool] = Field(default={})
    """additional fields for new incidents, by column name"""
    close_code: str = "Solution provided"
    """resolution code; one of the instance's choices"""
    close_notes: str = ""
    """resolution notes; default: the text of the end"""
    close_fields: Mapping[str, str | int | float | bool] = Field(default={})
    """more columns, set when it is resolved: what a policy requires"""
    reopen_state: str = NEW
    """state of a reopened incident"""

    @field_validator("assignment_group")
    @classmethod
    def _is_a_sys_id(cls, group: str) -> str:
        if group and not re.fullmatch(r"[0-9a-f]{32}", group):
            raise ValueError("is not a sys_id. Open the group in ServiceNow, right-click its header, Copy sys_id")
        return group

    @field_validator("close_fields")
    @classmethod
    def _not_our_own(cls, fields: Mapping[str, str | int | float | bool]) -> Mapping[str, str | int | float | bool]:
        if taken := sorted(_SET_AT_CLOSE & fields.keys()):
            raise ValueError(f"{taken[0]}: set by the product itself, or by a key of its own")
        return cls._may_be_set(fields)

    @field_validator("fields")
    @classmethod
    def _may_be_set(cls, fields: Mapping[str, str | int | float | bool]) -> Mapping[str, str | int | float | bool]:
        if "priority" in fields:
            raise ValueError("priority is made of impact and urgency by ServiceNow. Set those")
        wrong = [name for name in fields if name in _OWN_FIELDS or not re.fullmatch(r"[a-z][a-z0-9_]*", name)]
        if wrong:
            raise ValueError(f"{wrong[0]!r} is none that can be set here. Use names of columns, like category")
        return fields

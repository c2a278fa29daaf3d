"""What `config.json` and the environment say of a Redmine."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field, SecretStr, field_validator

from service_event_checker.config.fields import by_severity, web_address
from service_event_checker.config.models import DestinationConfig
from service_event_checker.core.vocabulary import Severity
from service_event_checker.destinations.redmine import markup

#: Redmine's id of something, or its name, where a number in the file is as good as a text
Name = Annotated[str, BeforeValidator(lambda value: str(value) if type(value) is int else value)]


class Config(DestinationConfig):
    """`project` is the identifier or the number. `custom_field`: id or name of the text field that holds our keys (41
    characters, used as a filter); "" puts them into the subject. `text_formatting` is Redmine's own setting of that
    name.

    `priorities` are ids by severity; `fields` (the API's names) and `custom_fields` (id -> value) are set on creation.
    `webhook_secret` is that of the webhook in Redmine 7.
    """

    DISPLAY_NAME: ClassVar[str] = "Redmine"
    SETTLE: ClassVar[timedelta] = timedelta(seconds=20)
    REOPEN_WITHIN: ClassVar[timedelta] = timedelta(hours=72)
    UPDATE_EVERY: ClassVar[timedelta] = timedelta(minutes=5)
    RATE: ClassVar[tuple[float, int]] = (2.0, 5)  # it has no limit of its own, and few threads
    ENV: ClassVar[dict[str, tuple[str, ...]]] = {
        "url": ("REDMINE_URL",),
        "token": ("REDMINE_API_KEY",),
        "project": ("REDMINE_PROJECT_ID",),
        "tracker_id": ("REDMINE_TRACKER_ID",),
        "open_status_id": ("REDMINE_OPEN_STATUS_ID",),
        "close_status_id": ("REDMINE_CLOSE_STATUS_ID",),
        "webhook_secret": ("REDMINE_WEBHOOK_SECRET",),
    }
    NEEDS: ClassVar[tuple[str, ...]] = ("url", "token", "project")

    kind: Literal["redmine"] = "redmine"
    url: Annotated[str, web_address("https://redmine.example.com")] = ""
    """`https://redmine.example.com`"""
    token: SecretStr | None = None
    """API key of a user of the project; the account page shows it"""
    project: Name = ""
    """identifier or number of the project where issues are made"""
    tracker_id: Annotated[int, Field(ge=1)] = 1
    """tracker of new issues"""
    open_status_id: Annotated[int, Field(ge=1)] = 1
    """status of new issues"""
    close_status_id: Annotated[int, Field(ge=1)] = 8
    """status of closed issues (a stock Redmine has 5 for it); if it is not a closing status, the first closing
    status that the workflow allows is used"""
    custom_field: Name = "Alert fingerprint"
    """name or ID of the field that stores our key; `""`: the key is stored in the subject"""
    text_formatting: markup.Format = "textile"
    """as set in Redmine: `textile`, `markdown`, `common_mark`"""
    priorities: Mapping[Severity, int] = Field(default=by_severity(5, 4, 2, 1))
    """ID of the priority by severity: `critical`, `error`, `warning`, `info`"""
    fields: Mapping[str, str | int | float | bool] = Field(default={})
    """additional fields for new issues, by API name: `{"assigned_to_id": 5}`"""
    custom_fields: Mapping[int, str] = Field(default={})
    """additional custom fields for new issues: `{"7": "web"}`"""
    webhook_secret: SecretStr | None = None
    """secret of the webhook that Redmine 7 sends to `/hooks/redmine`"""

    @field_validator("project")
    @classmethod
    def _identifier(cls, project: str) -> str:
        project = project.strip()
        if project and not re.fullmatch(r"[A-Za-z0-9_-]{1,100}", project):
            raise ValueError("write the project's identifier, as its address shows it: /projects/<identifier>")
        return project

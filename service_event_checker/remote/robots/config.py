"""What config.json says of any chat robot: its address, which is a secret, and what it is told."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field, SecretStr

from service_event_checker.config.fields import is_address
from service_event_checker.config.models import CHAT_BUDGET, DestinationConfig
from service_event_checker.core.model import Budget

MENTIONS_MAX = 20


def secret_address(value: SecretStr | None) -> SecretStr | None:
    """Check an address that holds a token; its text is part of no error. Raises ValueError."""
    if value is not None and value.get_secret_value() and not is_address(value.get_secret_value().strip()):
        raise ValueError("must be a web address like https://example.com/hook")
    return SecretStr(value.get_secret_value().strip()) if value is not None else None


Mentioned = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.+-]{1,64}$")]
SecretAddress = Annotated[SecretStr | None, AfterValidator(secret_address)]


class MessageConfig(DestinationConfig):
    """What is told once per change and cannot be searched. `updates`: also tell changes that no person made."""

    STORM: ClassVar[Budget | None] = CHAT_BUDGET
    SETTLE: ClassVar[timedelta] = timedelta(0)  # nothing to wait for: nobody can look
    UPDATE_EVERY: ClassVar[timedelta] = timedelta(minutes=5)  # each update is a message of its own

    updates: bool = True
    """also send what changes at the source; `false`: only the opening, what people do, and the end"""


class RobotConfig(MessageConfig):
    """`url`: the robot's whole address, token included."""

    RATE: ClassVar[tuple[float, int]] = (0.25, 3)  # at most 18 in any minute: DingTalk and WeCom take 20
    NEEDS: ClassVar[tuple[str, ...]] = ("url",)

    url: SecretAddress = None
    """the whole address; it holds a token and is treated as a secret"""


class MentioningConfig(RobotConfig):
    """`mentions`: whom the opening mentions: ids as the system has them, or `all`."""

    mentions: Annotated[tuple[Mentioned, ...], Field(max_length=MENTIONS_MAX)] = ()
    """who is mentioned when an alert opens, at most 20: mobile numbers (DingTalk), user IDs (WeCom), open IDs
    (Feishu), or `all`"""

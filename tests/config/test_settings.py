"""The environment: secrets from files, and the address of the broker."""

from __future__ import annotations

from pathlib import Path

import pytest

from service_event_checker.config.load import ConfigError
from service_event_checker.config.settings import Settings


def test_a_secret_is_read_from_the_file_that_its_variable_names(tmp_path: Path) -> None:
    (tmp_path / "db").write_text("postgresql://checker:a-password@db/checker\n")
    (tmp_path / "token").write_text("  a-token-of-the-senders\n")

    read = Settings.read(
        {"DATABASE_URL_FILE": str(tmp_path / "db"), "WEBHOOK_TOKEN_FILE": str(tmp_path / "token"), "PORT": "8001"}
    )

    assert read.database_url == "postgresql://checker:a-password@db/checker"
    assert read.webhook_tokens == {"WEBHOOK_TOKEN": "a-token-of-the-senders"}
    assert read.variables["DATABASE_URL"] == read.database_url  # config.json may name it


def test_files_that_are_not_secrets_or_belong_to_others_stay_names(tmp_path: Path) -> None:
    names = {
        "CONFIG_FILE": "elsewhere.json",
        "SSL_CERT_FILE": "/etc/none.pem",
        "AZURE_FEDERATED_TOKEN_FILE": "/none",
        "SLACK_BOT_TOKEN_FILE": " ",
    }

    read = Settings.read(names)

    assert read.variables == names
    assert (str(read.config_file), read.ca_file) == ("elsewhere.json", "/etc/none.pem")


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_file_that_cannot_be_read_is_named_with_the_reason(content: bytes | None, tmp_path: Path) -> None:
    file = tmp_path / "pat"
    if content is not None:
        file.write_bytes(content)

    with pytest.raises(ConfigError, match=f"ADO_PAT_FILE: {file} cannot be read: "):
        Settings.read({"ADO_PAT_FILE": str(file)})


def test_a_secret_that_is_set_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="ADO_PAT_FILE: ADO_PAT is set as well") as raised:
        Settings.read({"ADO_PAT": "a-personal-token", "ADO_PAT_FILE": str(tmp_path)})
    assert "a-personal-token" not in str(raised.value)


def test_a_broker_is_redis_with_or_without_tls() -> None:
    assert Settings.read({}).broker_url == ""
    for url in ("redis://localhost:6379/0", "rediss://:secret@redis.example.com/1"):
        assert Settings.read({"CELERY_BROKER_URL": url}).broker_url == url


@pytest.mark.parametrize("url", ["localhost:6379", "amqp://guest:hush-hush@mq", "redis://", "redis://host:port"])
def test_another_broker_is_refused_without_showing_its_password(url: str) -> None:
    with pytest.raises(ConfigError, match="CELERY_BROKER_URL: is not the address of a Redis server") as raised:
        Settings.read({"CELERY_BROKER_URL": url})
    assert "hush-hush" not in str(raised.value)

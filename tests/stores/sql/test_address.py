"""DATABASE_URL is read in the spellings that people use; what it cannot be is said without its password."""

from __future__ import annotations

import pytest

from service_event_checker.stores.sql.address import database_address


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("sqlite:///./alert_handler.db", "sqlite:///./alert_handler.db"),
        ("sqlite:////srv/alerts.db", "sqlite:////srv/alerts.db"),
        ("postgres://u:p@db/alerts", "postgresql+psycopg://u:p@db/alerts"),
        ("postgresql://u:p@db:5433/alerts", "postgresql+psycopg://u:p@db:5433/alerts"),
        ("postgresql+psycopg2://u:p@db/alerts", "postgresql+psycopg://u:p@db/alerts"),
        (" mysql+pymysql://u:p@db/alerts ", "mysql+pymysql://u:p@db/alerts?charset=utf8mb4"),
        ("mysql://u:p@db/alerts?charset=latin1", "mysql+pymysql://u:p@db/alerts?charset=utf8mb4"),
        ("mariadb://u:p@db/alerts", "mariadb+pymysql://u:p@db/alerts?charset=utf8mb4"),
    ],
)
def test_each_spelling_means_the_driver_that_is_installed(text: str, made: str) -> None:
    assert database_address(text).render_as_string(hide_password=False) == made


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("alerts.db", "is not a database address"),
        ("", "is not a database address"),
        ("oracle://u:secret-word@db/alerts", "names a database that is not supported"),
        ("postgresql://u:secret-word@db", "names no host or no database"),
        ("mysql://u:secret-word@/alerts", "names no host or no database"),
        ("postgresql://u:secret-word@db:port/alerts", "is not a database address"),
    ],
)
def test_what_is_not_an_address_is_refused_with_the_way_to_write_one(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem) as refused:
        database_address(text)

    assert "sqlite:///./alerts.db" in str(refused.value)
    assert "secret-word" not in str(refused.value)

"""Reads DATABASE_URL in the spellings that people use. Connects to nothing."""

from __future__ import annotations

from sqlalchemy import URL
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

_DRIVERS = {
    "sqlite": "sqlite",
    "postgres": "postgresql+psycopg",  # Heroku's spelling
    "postgresql": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
}
_EXAMPLES = "sqlite:///./alerts.db, postgresql://user:password@host/name or mysql://user:password@host/name"


def database_address(text: str) -> URL:
    """Return the address with the driver that is installed; a driver that is named (`+psycopg2`) is replaced by it.

    Raises ValueError with what is wrong and the remedy, never with the address: it may hold a password.
    """
    try:
        address = make_url(text.strip())
        driver = _DRIVERS[address.drivername.partition("+")[0].lower()]
    except (ArgumentError, ValueError):
        raise ValueError(f"is not a database address. Write {_EXAMPLES}") from None
    except KeyError:
        raise ValueError(f"names a database that is not supported. Write {_EXAMPLES}") from None
    if driver == "sqlite":
        return address.set(drivername=driver)
    if not address.host or not address.database:
        raise ValueError(f"names no host or no database. Write {_EXAMPLES}")
    made = address.set(drivername=driver)
    return made if driver.startswith("postgresql") else made.update_query_dict({"charset": "utf8mb4"})

"""The emulator does what tests of the store rely on."""

from __future__ import annotations

from contextlib import closing
from http.client import HTTPConnection

import pytest
from azure.core.exceptions import ResourceExistsError, ServiceRequestError, ServiceResponseError
from azure.data.tables import TableServiceClient

from tests.real.azurite import Azurite

ENTITY = {"PartitionKey": "0a", "RowKey": "1", "title": "Störung in 東京"}


def client(connection_string: str, patience: float = 60.0) -> TableServiceClient:
    """`patience`: seconds for each answer."""
    return TableServiceClient.from_connection_string(
        connection_string, retry_total=0, connection_timeout=patience, read_timeout=patience
    )


def test_an_inserted_entity_is_read_back_and_not_inserted_twice(azurite: Azurite) -> None:
    table = client(azurite.new_account()).create_table("EventTickets")
    table.create_entity(ENTITY)

    assert table.get_entity("0a", "1")["title"] == "Störung in 東京"
    with pytest.raises(ResourceExistsError):
        table.create_entity(ENTITY)


def test_accounts_do_not_see_each_others_tables(azurite: Azurite) -> None:
    one, other = client(azurite.new_account()), client(azurite.new_account())

    one.create_table("EventTickets")

    assert [table.name for table in one.list_tables()] == ["EventTickets"]
    assert list(other.list_tables()) == []


def test_a_paused_server_answers_nobody_until_it_is_resumed(breakable_azurite: Azurite) -> None:
    breakable_azurite.pause()
    with pytest.raises(ServiceResponseError):
        client(breakable_azurite.connection_string, patience=0.5).create_table("EventTickets")
    breakable_azurite.resume()

    tables = client(breakable_azurite.connection_string)
    assert tables.create_table_if_not_exists("EventTickets").table_name == "EventTickets"


def test_a_killed_server_is_gone_and_comes_back_on_the_same_port(breakable_azurite: Azurite) -> None:
    tables = client(breakable_azurite.connection_string)

    breakable_azurite.kill()
    with pytest.raises(ServiceRequestError):
        list(tables.list_tables())
    breakable_azurite.start()

    assert list(tables.list_tables()) == []


def test_a_stopped_server_keeps_what_it_was_told(breakable_azurite: Azurite) -> None:
    table = client(breakable_azurite.connection_string).create_table("EventTickets")
    table.create_entity(ENTITY)

    breakable_azurite.stop()
    breakable_azurite.start()

    assert table.get_entity("0a", "1")["RowKey"] == "1"


def test_a_connection_that_says_nothing_for_a_while_stays_open(azurite: Azurite) -> None:
    with closing(HTTPConnection("127.0.0.1", azurite.port, timeout=60)) as connection:
        connection.request("GET", "/account0000/Tables")

        assert connection.getresponse().headers["Keep-Alive"] == "timeout=600"

"""Alembic's entry: migrates the connection that `stores.sql_schema` hands over; there is no command line use."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], transaction_per_migration=False)
context.run_migrations()

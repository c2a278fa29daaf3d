"""An index that counts deliveries by receiver, and gives the oldest of each, without reading them."""

from service_event_checker.stores.sql.migrations.steps import create_index

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    create_index("deliveries_waiting", "deliveries", ["dead", "receiver", "created_at"])

"""A store as an earlier version made it."""

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine

from foretwin.twin.store.database import MIGRATIONS


def migrated_to(url, schema):
    """Make the tables of that schema in an empty database."""
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, schema)
    engine.dispose()

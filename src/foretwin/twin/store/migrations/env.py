"""Alembic's entry: run the versions on the connection that `database` hands over."""

from alembic import context

from foretwin.twin.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()

"""Runs the migrations on the connection that `Store.open` hands over."""

from alembic import context

from kabina.signaling.schema import Base

connection = context.config.attributes["connection"]
# SQLite changes a table by copying it: batch mode writes that for us.
context.configure(connection=connection, target_metadata=Base.metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()

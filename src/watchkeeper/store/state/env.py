"""Alembic's entry: runs migrations on the connection that the state store hands over."""

from alembic import context

from watchkeeper.store.state.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite alters tables by copying them
)
with context.begin_transaction():
    context.run_migrations()

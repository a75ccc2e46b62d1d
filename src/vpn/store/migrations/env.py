"""Run by Alembic, on the connection that `Database.migrate` gives it."""

from alembic import context

from vpn.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite can alter little; batch mode copies the table instead
)
with context.begin_transaction():
    context.run_migrations()

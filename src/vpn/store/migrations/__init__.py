"""The history of the tables (Alembic). `env` is run by Alembic, `versions` holds one file per step."""

"""What users have moved."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "usage",
        sa.Column("user_id", sa.Integer, nullable=False),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("bytes_up", sa.BigInteger, nullable=False),
        sa.Column("bytes_down", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("user_id", "day", name="pk_usage"),
    )
    op.create_table(
        "quotas",
        sa.Column("user_id", sa.Integer, nullable=False),
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False),
        sa.Column("hour_bytes", sa.BigInteger, nullable=False),
        sa.Column("floor_day", sa.Date, nullable=False),
        sa.Column("floor_bytes", sa.BigInteger, nullable=False),
        sa.Column("warned_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("warned", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("user_id", name="pk_quotas"),
    )
    op.create_table(
        "ledger",
        sa.Column("meter", sa.BigInteger, nullable=False),
        sa.Column("user_id", sa.Integer, nullable=False),
        sa.Column("bytes_up", sa.BigInteger, nullable=False),
        sa.Column("bytes_down", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("meter", "user_id", name="pk_ledger"),
    )


def downgrade() -> None:
    op.drop_table("ledger")
    op.drop_table("quotas")
    op.drop_table("usage")

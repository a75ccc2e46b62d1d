"""What sessions come to, by the hour, day and month."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "rollups",
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("span", sa.String(8), nullable=False),
        sa.Column("start", sa.BigInteger, nullable=False),
        sa.Column("key", sa.String(255).with_variant(sa.String(255, collation="C"), "postgresql"), nullable=False),
        sa.Column("closed", sa.BigInteger, nullable=False),
        sa.Column("failed", sa.BigInteger, nullable=False),
        sa.Column("rejected", sa.BigInteger, nullable=False),
        sa.Column("bytes_sent", sa.BigInteger, nullable=False),
        sa.Column("bytes_received", sa.BigInteger, nullable=False),
        sa.Column("milliseconds", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("kind", "span", "start", "key", name="pk_rollups"),
        sqlite_with_rowid=False,
    )
    progress = op.create_table(
        "rollup_progress",
        sa.Column("folded", sa.BigInteger, nullable=False),
        sa.Column("hours_from", sa.BigInteger, nullable=False),
        sa.Column("days_from", sa.BigInteger, nullable=False),
    )
    op.bulk_insert(progress, [{"folded": 0, "hours_from": 0, "days_from": 0}])


def downgrade() -> None:
    op.drop_table("rollup_progress")
    op.drop_table("rollups")

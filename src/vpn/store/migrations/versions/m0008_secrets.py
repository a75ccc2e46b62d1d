"""Secrets that protocols must know in clear, and inbounds that are managed by commands."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "secrets",
        sa.Column("owner", sa.String(100), nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("owner", "kind", name="pk_secrets"),
    )
    op.create_index("ix_secrets_kind_digest", "secrets", ["kind", "digest"], unique=True)
    op.create_table(
        "inbounds",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_inbounds"),
    )


def downgrade() -> None:
    op.drop_table("inbounds")
    op.drop_index("ix_secrets_kind_digest", "secrets")
    op.drop_table("secrets")

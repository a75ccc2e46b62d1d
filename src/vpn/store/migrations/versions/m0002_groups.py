"""Limits of users, and groups that they are inherited from."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    sqlite = op.get_bind().dialect.name == "sqlite"
    # SQLite gives the number of a removed user to the next one, unless the table says otherwise: it is made anew.
    with op.batch_alter_table(
        "users", recreate="always" if sqlite else "never", table_kwargs={"sqlite_autoincrement": True}
    ) as users:
        users.add_column(sa.Column("limits", sa.Text, nullable=False, server_default="{}"))
        users.add_column(sa.Column("first_used_at", sa.DateTime(timezone=True)))
    op.create_table(
        "groups",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("canonical_name", sa.String(64), nullable=False),
        sa.Column("note", sa.String(500), nullable=False),
        sa.Column("limits", sa.Text, nullable=False),
        sa.Column("shared", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_groups"),
        sa.UniqueConstraint("canonical_name", name="uq_groups_canonical_name"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "memberships",
        sa.Column("user_id", sa.Integer, nullable=False),
        sa.Column("group_id", sa.Integer, nullable=False),
        sa.Column("place", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("user_id", "group_id", name="pk_memberships"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_memberships_user_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["group_id"], ["groups.id"], name="fk_memberships_group_id", ondelete="CASCADE"),
    )
    op.create_index("ix_memberships_group_id", "memberships", ["group_id"])


def downgrade() -> None:
    op.drop_table("memberships")
    op.drop_table("groups")
    with op.batch_alter_table("users") as users:
        users.drop_column("first_used_at")
        users.drop_column("limits")

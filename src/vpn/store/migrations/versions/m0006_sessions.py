"""The history of sessions.

The sessions themselves are in tables that are made while the daemon runs (vpn.store.session_segments), one for each
row of `session_segments`, and named by its number. A migration that changes their columns goes through all of them.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "session_segments",
        sa.Column("number", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("first_id", sa.BigInteger, nullable=False),
        sa.Column("last_id", sa.BigInteger, nullable=False),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("sealed", sa.Boolean, nullable=False),
        sa.Column("dropped", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_session_segments"),
    )
    op.create_table(
        "session_terms",
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("term", sa.String(255), nullable=False),
        sa.Column("segment", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("kind", "term", name="pk_session_terms"),
    )
    op.create_table(
        "sessions_live",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), nullable=False, autoincrement=False),
        sa.Column("inbound", sa.Text, nullable=False),
        sa.Column("engine", sa.Text, nullable=False),
        sa.Column("protocol", sa.Text, nullable=False),
        sa.Column("user", sa.Text, nullable=False),
        sa.Column("source_host", sa.Text, nullable=False),
        sa.Column("source_port", sa.Integer, nullable=False),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("port", sa.Integer, nullable=False),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("rule", sa.Text, nullable=False),
        sa.Column("upstream", sa.Text, nullable=False),
        sa.Column("server_name", sa.Text, nullable=False),
        sa.Column("started", sa.Double, nullable=False),
        sa.Column("ended", sa.Double, nullable=False),
        sa.Column("connect_time", sa.Double, nullable=False),
        sa.Column("first_byte_time", sa.Double, nullable=False),
        sa.Column("bytes_sent", sa.BigInteger, nullable=False),
        sa.Column("bytes_received", sa.BigInteger, nullable=False),
        sa.Column("packets_sent", sa.BigInteger, nullable=False),
        sa.Column("packets_received", sa.BigInteger, nullable=False),
        sa.Column("duration", sa.Double, nullable=False),
        sa.Column("address_key", sa.LargeBinary),
        sa.PrimaryKeyConstraint("id", name="pk_sessions_live"),
    )
    op.create_table(
        "journals",
        sa.Column("journal", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("journal", name="pk_journals"),
    )


def downgrade() -> None:
    connection = op.get_bind()
    for (number,) in connection.execute(sa.text("SELECT number FROM session_segments")).all():
        op.drop_table(f"sessions_{number}")
    for name in ("journals", "sessions_live", "session_terms", "session_segments"):
        op.drop_table(name)

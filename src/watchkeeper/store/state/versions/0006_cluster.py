"""Processes that share a database: members, turns, and when a row was written."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "members",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("started_ms", sa.BigInteger(), nullable=False),
        sa.Column("seen_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_members")),
    )
    op.create_table(
        "claims",
        sa.Column("key_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("owner", sa.String(length=36), nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("until_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key_hash", name=op.f("pk_claims")),
    )
    for table in ("silences", "alerts", "notification_log", "acks"):
        with op.batch_alter_table(table) as batch:
            batch.add_column(sa.Column("written_ms", sa.BigInteger(), nullable=False, server_default="0"))
            batch.create_index(op.f(f"ix_{table}_written_ms"), ["written_ms"])


def downgrade() -> None:
    raise NotImplementedError("an older release does not open a newer state store")

"""The delivery ledger."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "ledger",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("time_ms", sa.BigInteger(), nullable=False),
        sa.Column("fingerprint", sa.String(length=16), nullable=False),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger")),
    )
    op.create_index(op.f("ix_ledger_time_ms"), "ledger", ["time_ms"])
    op.create_index(op.f("ix_ledger_fingerprint"), "ledger", ["fingerprint"])
    op.create_table(
        "ledger_alerts",
        sa.Column("fingerprint", sa.String(length=16), nullable=False),
        sa.Column("alertname", sa.Text(), nullable=False),
        sa.Column("labels", sa.Text(), nullable=False),
        sa.Column("annotations", sa.Text(), nullable=False),
        sa.Column("seen_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("fingerprint", name=op.f("pk_ledger_alerts")),
    )
    op.create_index(op.f("ix_ledger_alerts_seen_ms"), "ledger_alerts", ["seen_ms"])


def downgrade() -> None:
    raise NotImplementedError("an older release does not open a newer state store")

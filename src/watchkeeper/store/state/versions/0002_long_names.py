"""Names of any length: PostgreSQL holds String(190) to its word, and an index to 2,704 bytes a key."""

import hashlib

import orjson
import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_FIELDS = ("group_key", "receiver", "integration", "position", "sent_ms", "expires_ms", "firing", "resolved")


def upgrade() -> None:
    with op.batch_alter_table("silences") as batch:
        batch.alter_column("created_by", existing_type=sa.String(190), type_=sa.Text(), existing_nullable=False)
    with op.batch_alter_table("inbox") as batch:
        batch.alter_column("receiver", existing_type=sa.String(190), type_=sa.Text(), existing_nullable=False)
    connection = op.get_bind()
    kept = connection.execute(sa.text(f"SELECT {', '.join(_FIELDS)} FROM notification_log")).mappings().all()  # noqa: S608 — names from above
    op.drop_table("notification_log")
    made = op.create_table(
        "notification_log",
        sa.Column("key_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("group_key", sa.Text(), nullable=False),
        sa.Column("receiver", sa.Text(), nullable=False),
        sa.Column("integration", sa.String(length=40), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("sent_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.Column("firing", sa.Text(), nullable=False),
        sa.Column("resolved", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key_hash", name=op.f("pk_notification_log")),
    )
    assert made is not None
    if kept:
        connection.execute(
            sa.insert(made), [{**row, "key_hash": _digest(*(row[one] for one in _FIELDS[:4]))} for row in kept]
        )


def _digest(*parts: object) -> bytes:
    return hashlib.sha256(orjson.dumps(parts)).digest()


def downgrade() -> None:
    raise NotImplementedError("an older release does not open a newer state store")

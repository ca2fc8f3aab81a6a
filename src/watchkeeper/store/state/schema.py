"""The tables of the state store. A change here comes with a migration in versions/ (a test compares the two)."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_Id = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts up only what it calls INTEGER

users = Table(
    "users",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("login", String(190), nullable=False, unique=True),
    Column("name", String(190), nullable=False, default=""),
    Column("email", String(190), nullable=False, default=""),
    Column("role", String(16), nullable=False),
    Column("password_hash", String(255), nullable=False),
    Column("disabled", Boolean, nullable=False, default=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("password_changed_ms", BigInteger, nullable=False),
)

sessions = Table(
    "sessions",
    metadata,
    Column("token_hash", LargeBinary(32), primary_key=True),  # SHA-256 of a 256-bit random token
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("created_ms", BigInteger, nullable=False),
    Column("seen_ms", BigInteger, nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
    Column("address", String(64), nullable=False, default=""),
)

keys = Table(
    "keys",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("name", String(190), nullable=False, unique=True),
    Column("token_hash", LargeBinary(32), nullable=False, unique=True),  # SHA-256 of a 256-bit random token
    Column("hint", String(16), nullable=False),  # the first characters, to tell keys apart
    Column("scopes", String(255), nullable=False),  # comma-separated
    Column("created_ms", BigInteger, nullable=False),
    Column("created_by", String(190), nullable=False),
    Column("expires_ms", BigInteger, nullable=True),
    Column("used_ms", BigInteger, nullable=True),
    Column("revoked_ms", BigInteger, nullable=True),
)

folders = Table(
    "folders",
    metadata,
    Column("uid", String(40), primary_key=True),
    Column("title", String(190), nullable=False),
)

dashboards = Table(
    "dashboards",
    metadata,
    Column("uid", String(40), primary_key=True),
    Column("folder_uid", ForeignKey("folders.uid"), nullable=True, index=True),
    Column("title", String(190), nullable=False),
    Column("tags", Text, nullable=False, default="[]"),  # JSON list
    Column("body", Text, nullable=False),  # Grafana's dashboard JSON, unknown fields kept
    Column("version", Integer, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("updated_ms", BigInteger, nullable=False),
    Column("updated_by", String(190), nullable=False),
)

silences = Table(
    "silences",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("matchers", Text, nullable=False),  # JSON list of {name, value, isRegex, isEqual}
    Column("starts_ms", BigInteger, nullable=False),
    Column("ends_ms", BigInteger, nullable=False),
    Column("updated_ms", BigInteger, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("comment", Text, nullable=False),
    Column("annotations", Text, nullable=False, default="{}"),  # JSON mapping
    Column("written_ms", BigInteger, nullable=False, index=True, server_default="0"),
)

recurring_silences = Table(
    "recurring_silences",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("body", Text, nullable=False),  # JSON: matchers, schedule, lasts_ms, created_by, comment
    Column("updated_ms", BigInteger, nullable=False),
)

heartbeats = Table(
    "heartbeats",
    metadata,
    Column("name", String(190), primary_key=True),
    Column("seen_ms", BigInteger, nullable=False),
)

alerts = Table(
    "alerts",
    metadata,
    Column("fingerprint", String(16), primary_key=True),
    Column("labels", Text, nullable=False),  # JSON mapping
    Column("annotations", Text, nullable=False),
    Column("starts_ms", BigInteger, nullable=False),
    Column("ends_ms", BigInteger, nullable=False),
    Column("updated_ms", BigInteger, nullable=False),
    Column("generator_url", Text, nullable=False),
    Column("written_ms", BigInteger, nullable=False, index=True, server_default="0"),
)

notification_log = Table(
    "notification_log",
    metadata,
    Column("key_hash", LargeBinary(32), primary_key=True),  # SHA-256 of the next four: group keys outgrow an index
    Column("group_key", Text, nullable=False),
    Column("receiver", Text, nullable=False),
    Column("integration", String(40), nullable=False),
    Column("position", Integer, nullable=False),  # of the integration within its receiver
    Column("sent_ms", BigInteger, nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
    Column("firing", Text, nullable=False),  # JSON list of alert fingerprints
    Column("resolved", Text, nullable=False),
    Column("written_ms", BigInteger, nullable=False, index=True, server_default="0"),
    Column("kept", Text, nullable=False, server_default="{}"),  # JSON mapping: an integration's notes on its message
)

members = Table(
    "members",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("address", Text, nullable=False),
    Column("started_ms", BigInteger, nullable=False),
    Column("seen_ms", BigInteger, nullable=False),  # by the database's clock
)

claims = Table(
    "claims",
    metadata,
    Column("key_hash", LargeBinary(32), primary_key=True),  # as in the notification log
    Column("owner", String(36), nullable=False),  # the member
    Column("token", BigInteger, nullable=False),  # counts up with each change of hands
    Column("until_ms", BigInteger, nullable=False),  # by the database's clock
)

acks = Table(
    "acks",
    metadata,
    Column("fingerprint", String(16), primary_key=True),  # of the alert
    Column("made_by", Text, nullable=False),
    Column("comment", Text, nullable=False),
    Column("made_ms", BigInteger, nullable=False),
    Column("until_ms", BigInteger, nullable=False),
    Column("written_ms", BigInteger, nullable=False, index=True, server_default="0"),
)

ledger = Table(
    "ledger",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("time_ms", BigInteger, nullable=False, index=True),
    Column("fingerprint", String(16), nullable=False, index=True),  # of the alert
    Column("kind", String(24), nullable=False),
    Column("detail", Text, nullable=False),  # JSON mapping
)

ledger_alerts = Table(
    "ledger_alerts",
    metadata,
    Column("fingerprint", String(16), primary_key=True),
    Column("alertname", Text, nullable=False),
    Column("labels", Text, nullable=False),  # JSON mapping
    Column("annotations", Text, nullable=False),
    Column("seen_ms", BigInteger, nullable=False, index=True),
)

inbox = Table(
    "inbox",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("received_ms", BigInteger, nullable=False, index=True),
    Column("receiver", Text, nullable=False),
    Column("status", String(16), nullable=False),
    Column("message", Text, nullable=False),  # the webhook payload, version 4
)

audit = Table(
    "audit",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("time_ms", BigInteger, nullable=False, index=True),
    Column("who", String(190), nullable=False),
    Column("address", String(64), nullable=False),
    Column("action", String(64), nullable=False),
    Column("route", String(255), nullable=False),
    Column("status", Integer, nullable=False),
    Column("detail", Text, nullable=False, default="{}"),  # JSON mapping
    Column("chain", LargeBinary(32), nullable=False),  # SHA-256 over the entry and the chain of the one before
)

flags = Table(
    "flags",
    metadata,
    Column("name", String(190), primary_key=True),
    Column("value", Text, nullable=False),
)

__all__ = [
    "acks",
    "alerts",
    "audit",
    "claims",
    "dashboards",
    "flags",
    "folders",
    "heartbeats",
    "inbox",
    "keys",
    "ledger",
    "ledger_alerts",
    "members",
    "metadata",
    "notification_log",
    "recurring_silences",
    "sessions",
    "silences",
    "users",
]

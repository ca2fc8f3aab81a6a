"""What the receiving of logs may be told; Loki's names where it has them."""

from watchkeeper.model.document import Settings, setting


class PushSettings(Settings):
    """Limits of the Loki push API."""

    ingestion_rate_bytes: int = setting(32 << 20, "Pushed bytes a second; more is answered 429.", unit="bytes", gt=0)
    ingestion_burst_bytes: int = setting(64 << 20, "Pushed bytes at once; more is answered 429.", unit="bytes", gt=0)
    body_bytes_max: int = setting(64 << 20, "A larger push, unpacked, is refused.", unit="bytes", gt=0)

"""What the log store may be told; Loki's names and defaults where it has them."""

from watchkeeper.model.document import Settings, setting
from watchkeeper.store.settings import WalSettings


class LogSettings(Settings):
    """Limits and sizes of the log store."""

    retention_ms: int = setting(30 * 86_400_000, "Lines older than this are removed.", unit="ms", gt=0)
    max_line_size_bytes: int = setting(256 << 10, "A longer line is refused.", unit="bytes", gt=0)
    max_label_names_per_series: int = setting(15, "A stream with more labels is refused.", gt=0)
    max_label_name_length: int = setting(1024, "A stream with a longer label name is refused.", gt=0)
    max_label_value_length: int = setting(2048, "A stream with a longer label value is refused.", gt=0)
    max_structured_metadata_size_bytes: int = setting(64 << 10, "A line with more is refused.", unit="bytes", gt=0)
    max_structured_metadata_entries: int = setting(128, "A line with more is refused.", gt=0)
    max_streams: int = setting(100_000, "New streams beyond this many are refused.", gt=0)
    reject_old_samples_max_age_ms: int = setting(7 * 86_400_000, "Older lines are refused.", unit="ms", gt=0)
    creation_grace_period_ms: int = setting(600_000, "Lines further in the future are refused.", unit="ms", ge=0)
    block_bytes: int = setting(1 << 20, "A stream's open lines are sealed at this size.", unit="bytes", gt=0)
    wal_cut_bytes: int = setting(32 << 20, "The write-ahead log is cut when it has grown by this.", unit="bytes", gt=0)
    carry_bytes_max: int = setting(
        8 << 20,
        "Small open streams, together, that a cut of the log writes anew instead of sealing.",
        unit="bytes",
        ge=0,
    )
    unsealed_bytes_max: int = setting(
        128 << 20, "With more lines than this waiting for compression, pushes are answered 503.", unit="bytes", gt=0
    )
    maintenance_interval_ms: int = setting(1000, "How often open lines are looked after.", unit="ms", gt=0)
    wal: WalSettings = setting(lambda: WalSettings(segment_bytes=8 << 20), "The write-ahead log of the lines.")

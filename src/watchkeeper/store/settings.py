"""What can be set about the stores, said once."""

from dataclasses import dataclass
from typing import Literal

from watchkeeper.model.document import Settings, setting
from watchkeeper.model.matchers import Matcher


class DiskSettings(Settings):
    """Room on the disk of the data directory."""

    free_bytes_min: int = setting(
        0,
        "While less than this is free, samples and lines are refused (503) and queries go on. 0: 5 % of the disk, at"
        " least 1 GiB (10 % of a disk smaller than 10 GiB).",
        unit="bytes",
        ge=0,
    )
    ballast_bytes: int = setting(
        64 << 20,
        "A file of this size is given up when the disk is all but full, so that silences and blocks can still be"
        " written; at most a sixteenth of the disk.",
        unit="bytes",
        ge=0,
    )


class WalSettings(Settings):
    """A write-ahead log."""

    durability: Literal["fsync", "os"] = setting(
        "fsync", "fsync: acknowledged means on the disk; os: acknowledged means handed to the operating system."
    )
    segment_bytes: int = setting(64 << 20, "Size of a segment of the log, reserved ahead.", unit="bytes", ge=1 << 12)
    segment_age_ms: int = setting(
        7_200_000, "A segment older than this is closed and a new one begun.", unit="ms", ge=1
    )
    record_bytes_max: int = setting(64 << 20, "A larger record is refused.", unit="bytes", ge=1 << 12)
    sync_interval_ms: int = setting(500, "What nobody waits for is synced this often.", unit="ms", ge=1)
    unsynced_bytes_max: int = setting(
        128 << 20, "While more than this waits for a slow disk, writes are refused.", unit="bytes", ge=1 << 12
    )


class KeepSettings(Settings):
    """How long some series are kept."""

    match: str = setting("", 'A selector, such as {job="debug"}.')
    keep: str = setting("", "How long, such as 2d; longer or shorter than the retention of the rest.")


class TierSettings(Settings):
    """A downsampling tier: of every stretch of time, first, last, lowest, highest, sum, number, and counter resets."""

    every: str = setting("5m", "Length of a stretch; a part of a day, at least 1m.")
    after: str = setting("2d", "Samples older than this are downsampled, by whole days; at most retention_ms less 2d.")
    keep: str = setting("90d", "How long the tier is kept.")


@dataclass(frozen=True, slots=True)
class Keep:
    """The same, read: how long series are kept that match; of several, the first that matches counts."""

    matchers: tuple[Matcher, ...]
    keep_ms: int


class MetricSettings(Settings):
    """The metrics store."""

    retention_ms: int = setting(15 * 86_400_000, "Samples older than this are dropped.", unit="ms", ge=60_000)
    retention_bytes: int = setting(
        0, "While blocks and log take more than this, the oldest block is dropped. 0: no limit.", unit="bytes", ge=0
    )
    retention: tuple[KeepSettings, ...] = setting((), "Series that are kept for another time; the first match counts.")
    downsample: tuple[TierSettings, ...] = setting(
        (), "Tiers that queries over long ranges read; series that `retention` keeps for less than all are left out."
    )
    block_ms: int = setting(
        7_200_000, "Stretch of time of a block as it is first written.", unit="ms", ge=1, le=86_400_000
    )
    compaction_share: float = setting(0.5, "How much of one processor compaction may take.", unit="share", gt=0, le=1)
    memory_bytes_max: int = setting(
        1 << 30,
        "While compressed samples in memory take more than this, they are moved into blocks early; the oldest are"
        " dropped when the disk does not take them.",
        unit="bytes",
        ge=1 << 20,
    )
    wal_bytes_max: int = setting(
        256 << 20, "While the log takes more than this, samples are moved into blocks early.", unit="bytes", ge=1 << 14
    )
    series_max: int = setting(2_000_000, "Series in the store; more are refused.", unit="series", ge=1)
    series_max_per_source: int = setting(200_000, "Series of one source; more are refused.", unit="series", ge=1)
    series_max_per_metric: int = setting(
        50_000,
        "Series of one metric in one source, and new ones within an hour; beyond, new series of that metric are refused"
        " and the rest goes on.",
        unit="series",
        ge=1,
    )
    samples_per_s_max: int = setting(
        0,
        "Samples a second, over ten seconds; while there are more, writes are refused (503) and tried again by their"
        " senders. 0: no limit.",
        unit="samples",
        ge=0,
    )
    labels_max: int = setting(200, "A series with more labels is refused.", unit="labels", ge=1)
    label_name_length_max: int = setting(1024, "A series with a longer label name is refused.", unit="characters", ge=1)
    label_value_length_max: int = setting(
        32 << 10, "A series with a longer label value is refused.", unit="characters", ge=1
    )
    chunk_rows: int = setting(40, "Rows of a source that are compressed together.", unit="rows", ge=2, le=10_000)
    decoded_bytes_max: int = setting(
        128 << 20,
        "Decoded samples kept for the next query; let go when nobody asks for five minutes. 0: none.",
        unit="bytes",
        ge=0,
    )
    out_of_order_window_ms: int = setting(
        0, "A sample this much older than its series' newest is still taken.", unit="ms", ge=0
    )
    future_ms_max: int = setting(600_000, "A sample further ahead of the clock than this is refused.", unit="ms", ge=0)
    families_max: int = setting(50_000, "Metric families whose help and type are kept.", unit="families", ge=1)
    exemplars_max: int = setting(
        100_000,
        "Exemplars kept, the newest of all series together; 0: none. Prometheus' storage.exemplars.max_exemplars.",
        unit="exemplars",
        ge=0,
        le=10_000_000,
    )
    scrub_ms: int = setting(
        7 * 86_400_000, "Every block is read, and its sums checked, so often. 0: never.", unit="ms", ge=0
    )
    wal: WalSettings = setting(WalSettings, "The write-ahead log of the samples.")

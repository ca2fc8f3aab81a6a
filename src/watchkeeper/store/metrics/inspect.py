"""What lies in a data directory's blocks, read without holding it: nothing is opened for good, nothing changed."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from watchkeeper.model.errors import Damaged
from watchkeeper.model.labels import METRIC_NAME, Symbols
from watchkeeper.store.files import Files
from watchkeeper.store.metrics import histograms
from watchkeeper.store.metrics.block import BlockFile, StoredGroups
from watchkeeper.store.metrics.directory import DIRECTORY
from watchkeeper.store.metrics.scrub import find_faults


@dataclass(slots=True)
class BlockFound:
    """A block file. `faults` are the parts that do not check out; a directory that does not is one of them."""

    name: str
    size_bytes: int
    first_ms: int = 0
    last_ms: int = 0
    samples: int = 0
    series: int = 0
    frames: int = 0
    faults: list[str] = field(default_factory=list)


@dataclass(slots=True)
class MetricFound:
    """A metric name in all blocks: values stored (gaps within shared times are values, too), and their bytes."""

    values: int = 0
    bytes: float = 0


def look_at_blocks(
    files: Files, *, verify: bool, by_metric: bool, seen: Callable[[str], None] = lambda _: None
) -> tuple[list[BlockFound], dict[str, MetricFound]]:
    """Read the directories of all blocks.

    verify     read every part and check its sum
    by_metric  add up values and bytes by metric name
    seen       told each file's name once it is done
    """
    found, metrics = list[BlockFound](), dict[str, MetricFound]()
    folders = ["blocks", *(name for name in files.listdir(DIRECTORY) if name.startswith("tier-"))]
    names = [(folder, name) for folder in folders for name in files.listdir(f"{DIRECTORY}/{folder}")]
    for folder, name in names:
        if not name.endswith(".block"):
            continue
        try:
            file = BlockFile(files, f"{DIRECTORY}/{folder}/{name}")
        except OSError:  # compaction took it
            continue
        tier = "" if folder == "blocks" else folder
        one = BlockFound(f"{tier}/{name}" if tier else name, file.size_bytes)
        try:
            _look(file, one, metrics if by_metric and not tier else None, verify=verify)
        except (Damaged, ValueError, KeyError, IndexError, TypeError) as error:
            one.faults += [] if one.faults else [str(error)]
        found.append(one)
        seen(name)
    return found, metrics


def look_at_histograms(files: Files) -> list[str]:
    """Read all groups of native histograms; say which do not check out."""
    paths = [f"{DIRECTORY}/histograms/{name}" for name in files.listdir(f"{DIRECTORY}/histograms")]
    return [
        f"{path}: {fault}" for path in paths if path.endswith(".hist") for fault in histograms.find_faults(files, path)
    ]


def _look(file: BlockFile, one: BlockFound, metrics: dict[str, MetricFound] | None, *, verify: bool) -> None:
    if verify:
        one.faults += find_faults(file)
    contents = file.contents()
    one.frames = len(contents.frames)
    one.first_ms = min((frame.first_ms for frame in contents.frames), default=0)
    one.last_ms = max((frame.last_ms for frame in contents.frames), default=0)
    one.samples = sum(frame.samples for frame in contents.frames)
    if one.name.startswith("tier-"):  # of each stretch of a series once, not of each aggregate
        one.samples = sum(frame.samples for frame in contents.frames if frame.source.startswith("count/"))
    one.series = sum(table.series for table in contents.tables)
    if metrics is None:
        return
    symbols = Symbols()
    for frame in contents.frames:
        names = file.table(contents.tables[frame.table], symbols).values(METRIC_NAME)
        for chunk in file.chunks(frame):
            groups = chunk.groups
            assert isinstance(groups, StoredGroups)
            sizes = [groups.place(at).length for at in range(len(groups))]
            of_group = np.arange(len(chunk.columns)) // chunk.group_columns
            width = np.bincount(of_group, minlength=len(sizes))
            for column, group in zip(chunk.columns.tolist(), of_group.tolist(), strict=True):
                metric = metrics.setdefault(names[column], MetricFound())
                metric.values += chunk.n_rows
                metric.bytes += sizes[group] / int(width[group])

"""Disks and what is mounted from them."""

import os
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass

from watchkeeper.exporters.families import Families, Kind
from watchkeeper.exporters.node.host import Host, numbers

# source: node exporter's defaults of --collector.diskstats.device-exclude and --collector.filesystem.*-exclude
_NO_DISK = re.compile(r"(z?ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\d+n\d+p)\d+", re.ASCII)
_NO_MOUNT = re.compile(r"/(dev|proc|run|sys|mnt|media|var/lib/docker/.+|var/lib/containers/storage/.+)($|/)")
_NO_FILE_SYSTEM = re.compile(
    r"(autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|fusectl|hugetlbfs|iso9660|mqueue|nsfs|overlay|"
    r"proc|procfs|pstore|rpc_pipefs|securityfs|selinuxfs|squashfs|erofs|sysfs|tracefs)"
)
_SECTOR_BYTES = 512
_OCTAL = re.compile(r"\\([0-7]{3})")
_STATVFS_TIMEOUT_S = 2.0
_MOUNTS_MAX = 5000

_stuck: dict[str, threading.Thread] = {}  # mounts that did not answer; asked again once their thread comes back

_DISK_FIELDS: tuple[tuple[str, Kind, float, str], ...] = (
    ("reads_completed_total", "counter", 1, "Reads completed."),
    ("reads_merged_total", "counter", 1, "Reads merged."),
    ("read_bytes_total", "counter", _SECTOR_BYTES, "Bytes read."),
    ("read_time_seconds_total", "counter", 0.001, "Seconds spent by all reads."),
    ("writes_completed_total", "counter", 1, "Writes completed."),
    ("writes_merged_total", "counter", 1, "Writes merged."),
    ("written_bytes_total", "counter", _SECTOR_BYTES, "Bytes written."),
    ("write_time_seconds_total", "counter", 0.001, "Seconds spent by all writes."),
    ("io_now", "gauge", 1, "Operations in progress."),
    ("io_time_seconds_total", "counter", 0.001, "Seconds in which operations were in progress."),
    ("io_time_weighted_seconds_total", "counter", 0.001, "Seconds in progress, weighted by the operations."),
    ("discards_completed_total", "counter", 1, "Discards completed."),
    ("discards_merged_total", "counter", 1, "Discards merged."),
    ("discarded_sectors_total", "counter", 1, "Sectors discarded."),
    ("discard_time_seconds_total", "counter", 0.001, "Seconds spent by all discards."),
    ("flush_requests_total", "counter", 1, "Flushes completed."),
    ("flush_requests_time_seconds_total", "counter", 0.001, "Seconds spent by all flushes."),
)


def diskstats(host: Host, out: Families) -> None:
    """Operations of each disk."""
    for line in host.read("proc/diskstats").splitlines():
        major, minor, device, *words = line.split()
        if _NO_DISK.fullmatch(device):
            continue
        labels = {"device": device}
        out.gauge("node_disk_info", "What a disk is; always 1.", 1, _disk_info(host, device, major, minor))
        for (name, kind, unit, help_text), count in zip(_DISK_FIELDS, numbers(words), strict=False):
            value = count * unit if isinstance(unit, int) else count / 1000
            out.add(f"node_disk_{name}", kind, help_text, value, labels)


def _disk_info(host: Host, device: str, major: str, minor: str) -> dict[str, str]:
    told = dict(
        line.removeprefix("E:").partition("=")[::2]
        for line in host.maybe(f"run/udev/data/b{major}:{minor}").splitlines()
        if line.startswith("E:")
    )
    return {
        "device": device,
        "major": major,
        "minor": minor,
        "model": told.get("ID_MODEL", ""),
        "path": told.get("ID_PATH", ""),
        "revision": told.get("ID_REVISION", ""),
        "rotational": host.maybe(f"sys/block/{device}/queue/rotational"),
        "serial": told.get("SCSI_IDENT_SERIAL", told.get("ID_SERIAL_SHORT", "")),
        "wwn": told.get("ID_WWN", ""),
    }


@dataclass(frozen=True, slots=True)
class _Mount:
    device: str
    point: str
    kind: str
    read_only: bool
    major: str
    minor: str


def filesystem(host: Host, out: Families) -> None:
    """Room in each mounted file system."""
    for mount in _mounts(host):
        told, error = _statvfs(os.path.join(host.root, mount.point.lstrip("/")))  # noqa: PTH118 # a mount of bytes as named
        labels = {
            "device": mount.device,
            "device_error": error,
            "fstype": mount.kind,
            "mountpoint": mount.point,
        }
        out.gauge("node_filesystem_device_error", "Whether a file system gave no answer.", int(bool(error)), labels)
        out.gauge("node_filesystem_readonly", "Whether a file system is read-only.", int(mount.read_only), labels)
        if told is None:
            continue
        out.gauge("node_filesystem_size_bytes", "Size.", told.f_blocks * told.f_frsize, labels)
        out.gauge("node_filesystem_free_bytes", "Room that is free.", told.f_bfree * told.f_frsize, labels)
        out.gauge("node_filesystem_avail_bytes", "Room for users.", told.f_bavail * told.f_frsize, labels)
        out.gauge("node_filesystem_files", "File nodes.", told.f_files, labels)
        out.gauge("node_filesystem_files_free", "File nodes that are free.", told.f_ffree, labels)
        out.gauge("node_filesystem_purgeable_bytes", "Room that could be freed (macOS alone).", 0, labels)
        where = {"device": mount.device, "major": mount.major, "minor": mount.minor, "mountpoint": mount.point}
        out.gauge("node_filesystem_mount_info", "What is mounted where; always 1.", 1, where)


def _mounts(host: Host) -> Iterator[_Mount]:
    """Give what is mounted, pseudo file systems left out, each mount point once."""
    text = host.maybe("proc/1/mountinfo") or host.read("proc/self/mountinfo")
    seen = set()
    for line in text.splitlines()[:_MOUNTS_MAX]:
        before, _, after = line.partition(" - ")
        fields, rest = before.split(), after.split()
        if len(fields) < 6 or len(rest) < 3:
            continue
        point, device = _plain(fields[4]), _plain(rest[1])
        major, _, minor = fields[2].partition(":")
        if _NO_FILE_SYSTEM.fullmatch(rest[0]) or _NO_MOUNT.match(point) or (device, point) in seen:
            continue
        seen.add((device, point))
        read_only = "ro" in fields[5].split(",") or "ro" in rest[2].split(",")
        yield _Mount(device, point, rest[0], read_only, major, minor)


def _plain(text: str) -> str:
    return _OCTAL.sub(lambda found: chr(int(found[1], 8)), text)


def _statvfs(path: str) -> tuple[os.statvfs_result | None, str]:
    """Ask a file system for its room; a dead network mount blocks a thread, not the exporter."""
    waiting = _stuck.get(path)
    if waiting is not None and waiting.is_alive():
        return None, "mountpoint timeout"
    answer: list[os.statvfs_result | OSError] = []

    def ask() -> None:
        try:
            answer.append(os.statvfs(path))
        except OSError as error:
            answer.append(error)

    thread = threading.Thread(target=ask, daemon=True, name="statvfs")
    thread.start()
    thread.join(_STATVFS_TIMEOUT_S)
    if not answer:
        _stuck[path] = thread
        return None, "mountpoint timeout"
    _stuck.pop(path, None)
    told = answer[0]
    if isinstance(told, OSError):
        return None, os.strerror(told.errno or 0).lower()
    return told, ""

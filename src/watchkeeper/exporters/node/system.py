"""The system as a whole: its name, its clock, its file descriptors."""

import platform
import re
import time

from watchkeeper.exporters.families import Families
from watchkeeper.exporters.node.host import Host, NotHere, numbers

_OS_LABELS = (
    "build_id",
    "id",
    "id_like",
    "image_id",
    "image_version",
    "name",
    "pretty_name",
    "variant",
    "variant_id",
    "version",
    "version_codename",
    "version_id",
)
_VERSION = re.compile(r"[0-9]+\.?[0-9]*", re.ASCII)


def uname(host: Host, out: Families) -> None:
    """The kernel's names."""
    labels = {
        "domainname": host.read("proc/sys/kernel/domainname"),
        "machine": platform.machine(),
        "nodename": host.read("proc/sys/kernel/hostname"),
        "release": host.read("proc/sys/kernel/osrelease"),
        "sysname": host.read("proc/sys/kernel/ostype"),
        "version": host.read("proc/sys/kernel/version"),
    }
    out.gauge("node_uname_info", "The kernel's names; always 1.", 1, labels)


def os_release(host: Host, out: Families) -> None:
    """The distribution's names."""
    text = host.maybe("etc/os-release") or host.read("usr/lib/os-release")
    told: dict[str, str] = {}
    for line in text.splitlines():
        name, equals, value = line.strip().partition("=")
        if equals and not name.startswith("#"):
            told[name.lower()] = value.strip().strip("\"'")
    out.gauge(
        "node_os_info", "The distribution's names; always 1.", 1, {name: told.get(name, "") for name in _OS_LABELS}
    )
    found = _VERSION.match(told.get("version_id", ""))
    if found:
        labels = {name: told.get(name, "") for name in ("id", "id_like", "name")}
        version = found.group()
        out.gauge(
            "node_os_version", "The distribution's version.", float(version) if "." in version else int(version), labels
        )


def clock(host: Host, out: Families) -> None:
    """What the host's clock says."""
    out.gauge("node_time_seconds", "Unix time.", time.time())
    local = time.localtime()
    out.gauge("node_time_zone_offset_seconds", "The time zone's offset.", local.tm_gmtoff, {"time_zone": local.tm_zone})
    for name in host.names("sys/devices/system/clocksource"):
        folder, device = f"sys/devices/system/clocksource/{name}", name.removeprefix("clocksource")
        for source in host.maybe(f"{folder}/available_clocksource").split():
            labels = {"clocksource": source, "device": device}
            out.gauge("node_time_clocksource_available_info", "A clock source that could be used.", 1, labels)
        current = host.maybe(f"{folder}/current_clocksource")
        if current:
            labels = {"clocksource": current, "device": device}
            out.gauge("node_time_clocksource_current_info", "The clock source that is used.", 1, labels)


def filefd(host: Host, out: Families) -> None:
    """Open files of the whole host."""
    allocated, _, maximum = numbers(host.read("proc/sys/fs/file-nr").split())
    out.gauge("node_filefd_allocated", "File descriptors in use.", allocated)
    out.gauge("node_filefd_maximum", "File descriptors that there can be.", maximum)


def entropy(host: Host, out: Families) -> None:
    """Bits of entropy."""
    for file, name in (("entropy_avail", "available"), ("poolsize", "pool_size")):
        value = numbers([host.read(f"proc/sys/kernel/random/{file}")])[0]
        out.gauge(f"node_entropy_{name}_bits", f"Bits of entropy: {name.replace('_', ' ')}.", value)


def kernel_hung(host: Host, out: Families) -> None:
    """Tasks that hung."""
    value = host.number("proc/sys/kernel/hung_task_detect_count")
    if value is None:
        raise NotHere("proc/sys/kernel/hung_task_detect_count")
    out.counter("node_kernel_hung_tasks_total", "Tasks found hanging since boot.", value)


def selinux(host: Host, out: Families) -> None:
    """Whether SELinux is on, and enforces."""
    enforcing = host.number("sys/fs/selinux/enforce")
    out.gauge("node_selinux_enabled", "Whether SELinux is on.", int(enforcing is not None))
    if enforcing is not None:
        out.gauge("node_selinux_current_mode", "Whether SELinux enforces now.", enforcing)

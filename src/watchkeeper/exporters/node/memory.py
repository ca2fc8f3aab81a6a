"""Memory: what the kernel says of it."""

import re

from watchkeeper.exporters.families import Families
from watchkeeper.exporters.node.host import Host, numbers

_VMSTAT = re.compile(r"(?:oom_kill|pgpg|pswp|pg.*fault)")


def meminfo(host: Host, out: Families) -> None:
    """Every field of /proc/meminfo."""
    for line in host.read("proc/meminfo").splitlines():
        field, _, rest = line.partition(":")
        words = rest.split()
        name = field.replace("(", "_").replace(")", "")
        number = numbers(words[:1])[0]
        if words[1:] == ["kB"]:
            name, number = f"{name}_bytes", number * 1024
        out.gauge(f"node_memory_{name}", f"Memory information field {name}.", number)


def vmstat(host: Host, out: Families) -> None:
    """Paging and killing, out of /proc/vmstat."""
    for line in host.read("proc/vmstat").splitlines():
        name, _, value = line.partition(" ")
        if _VMSTAT.match(name):
            out.add(f"node_vmstat_{name}", "untyped", f"/proc/vmstat information field {name}.", numbers([value])[0])

"""The network: devices, protocols, sockets, connections tracked."""

import os
import re
from collections import Counter

from watchkeeper.exporters.families import Families
from watchkeeper.exporters.node.host import Host, NotHere, numbers

_RECEIVED = ("bytes", "packets", "errs", "drop", "fifo", "frame", "compressed", "multicast")
_SENT = ("bytes", "packets", "errs", "drop", "fifo", "colls", "carrier", "compressed")
# source: node exporter's default of --collector.netstat.fields
_NETSTAT = re.compile(
    r"(.*_(InErrors|InErrs)|Ip_Forwarding|Ip(6|Ext)_(InOctets|OutOctets)|Icmp6?_(InMsgs|OutMsgs)|"
    r"TcpExt_(Listen.*|Syncookies.*|TCPSynRetrans|TCPTimeouts|TCPOFOQueue|TCPRcvQDrop)|"
    r"Tcp_(ActiveOpens|InSegs|OutSegs|OutRsts|PassiveOpens|RetransSegs|CurrEstab)|"
    r"Udp6?_(InDatagrams|OutDatagrams|NoPorts|RcvbufErrors|SndbufErrors))"
)
_DEVICE_NUMBERS = (
    ("addr_assign_type", "address_assign_type"),
    ("carrier", "carrier"),
    ("dev_id", "device_id"),
    ("dormant", "dormant"),
    ("flags", "flags"),
    ("ifindex", "iface_id"),
    ("iflink", "iface_link"),
    ("link_mode", "iface_link_mode"),
    ("mtu", "mtu_bytes"),
    ("name_assign_type", "name_assign_type"),
    ("netdev_group", "net_dev_group"),
    ("tx_queue_len", "transmit_queue_length"),
    ("type", "protocol_type"),
)
_DEVICE_COUNTERS = (
    ("carrier_changes", "carrier_changes_total"),
    ("carrier_up_count", "carrier_up_changes_total"),
    ("carrier_down_count", "carrier_down_changes_total"),
)
_TRACKED = ("found", "invalid", "ignore", "insert", "insert_failed", "drop", "early_drop", "search_restart")
_SOFTNET = (
    (0, "processed_total", "Frames processed."),
    (1, "dropped_total", "Frames dropped."),
    (2, "times_squeezed_total", "Times that processing ran out of its share."),
    (8, "cpu_collision_total", "Collisions while sending."),
    (9, "received_rps_total", "Times that another processor handed over frames."),
    (10, "flow_limit_count_total", "Times that the flow limit was reached."),
    (11, "backlog_len", "Frames that wait."),
)


def netdev(host: Host, out: Families) -> None:
    """What each device received and sent."""
    for line in host.read("proc/net/dev").splitlines()[2:]:
        device, _, rest = line.partition(":")
        labels, counts = {"device": device.strip()}, numbers(rest.split())
        unhandled = host.number(f"sys/class/net/{labels['device']}/statistics/rx_nohandler")
        for way, names, part in (("receive", _RECEIVED, counts[:8]), ("transmit", _SENT, counts[8:])):
            for name, count in zip(names, part, strict=False):
                out.counter(
                    f"node_network_{way}_{name}_total", f"Network device statistic {way}_{name}.", count, labels
                )
        if unhandled is not None:
            help_text = "Network device statistic receive_nohandler."
            out.counter("node_network_receive_nohandler_total", help_text, unhandled, labels)


def netclass(host: Host, out: Families) -> None:
    """What each device is."""
    devices = host.names("sys/class/net")
    if not devices:
        raise NotHere("sys/class/net")
    for device in devices:
        folder, labels = f"sys/class/net/{device}", {"device": device}
        flags = host.number(f"{folder}/flags")
        if flags is None:
            continue  # a file such as bonding_masters, or a device that has just gone
        state = host.maybe(f"{folder}/operstate")
        for file, name in _DEVICE_NUMBERS:
            value = host.number(f"{folder}/{file}")
            if value is not None:
                out.gauge(f"node_network_{name}", f"Network device property: {name}.", value, labels)
        for file, name in _DEVICE_COUNTERS:
            value = host.number(f"{folder}/{file}")
            if value is not None:
                out.counter(f"node_network_{name}", f"Network device property: {name}.", value, labels)
        speed = host.number(f"{folder}/speed")
        if speed is not None:
            out.gauge("node_network_speed_bytes", "Network device property: speed_bytes.", speed * 125_000, labels)
        out.gauge("node_network_up", "Whether the device's state is up.", int(state == "up"), labels)
        out.gauge("node_network_info", "What a device is; always 1.", 1, _device_info(host, device, flags, state))


def _device_info(host: Host, device: str, flags: int, state: str) -> dict[str, str]:
    folder = f"sys/class/net/{device}"
    return {
        "address": host.maybe(f"{folder}/address"),
        "adminstate": "up" if flags & 1 else "down",
        "broadcast": host.maybe(f"{folder}/broadcast"),
        "device": device,
        "duplex": host.maybe(f"{folder}/duplex"),
        "ifalias": host.maybe(f"{folder}/ifalias"),
        "operstate": state,
    }


def netstat(host: Host, out: Families) -> None:
    """Counters of the protocols."""
    found: dict[str, str] = {}
    for file in ("proc/net/netstat", "proc/net/snmp"):
        lines = host.read(file).splitlines()
        for names, values in zip(lines[::2], lines[1::2], strict=False):
            protocol, _, rest = names.partition(":")
            words = values.partition(":")[2].split()
            found.update({f"{protocol}_{name}": word for name, word in zip(rest.split(), words, strict=False)})
    for line in host.maybe("proc/net/snmp6").splitlines():
        name, _, value = line.partition(" ")
        protocol, six, field = name.partition("6")
        if six:
            found[f"{protocol}6_{field.strip()}"] = value.strip()
    for name, value in found.items():
        if _NETSTAT.fullmatch(name):
            out.add(f"node_netstat_{name}", "untyped", f"Statistic {name.replace('_', '')}.", numbers([value])[0])


def sockstat(host: Host, out: Families) -> None:
    """Sockets in use."""
    page_bytes = os.sysconf("SC_PAGE_SIZE")
    for file in ("proc/net/sockstat", "proc/net/sockstat6"):
        for line in (host.read(file) if file.endswith("stat") else host.maybe(file)).splitlines():
            protocol, *words = line.replace(":", "").split()
            for name, value in zip(words[::2], numbers(words[1::2]), strict=False):
                help_text = f"Number of {protocol} sockets in state {name}."
                out.gauge(f"node_sockstat_{protocol}_{name}", help_text, value)
                if name == "mem":
                    help_text = f"Bytes of {protocol} sockets' buffers."
                    out.gauge(f"node_sockstat_{protocol}_mem_bytes", help_text, value * page_bytes)


def conntrack(host: Host, out: Families) -> None:
    """Connections that the packet filter tracks."""
    for file, name in (("count", "entries"), ("max", "entries_limit")):
        value = numbers([host.read(f"proc/sys/net/netfilter/nf_conntrack_{file}")])[0]
        out.gauge(f"node_nf_conntrack_{name}", f"Tracked connections: {name}.", value)
    lines = host.maybe("proc/net/stat/nf_conntrack").splitlines()
    if not lines:
        return
    sums: Counter[str] = Counter()
    for line in lines[1:]:
        for name, word in zip(lines[0].split(), line.split(), strict=False):
            sums[name] += int(word, 16)
    for name in _TRACKED:
        out.gauge(f"node_nf_conntrack_stat_{name}", f"Tracked connections, statistic {name}.", sums[name])


def softnet(host: Host, out: Families) -> None:
    """Frames by processor."""
    for at, line in enumerate(host.read("proc/net/softnet_stat").splitlines()):
        words = [int(word, 16) for word in line.split()]
        labels = {"cpu": str(words[12] if len(words) > 12 else at)}
        for place, name, help_text in _SOFTNET:
            value = words[place] if place < len(words) else 0
            out.add(f"node_softnet_{name}", "counter" if name.endswith("_total") else "gauge", help_text, value, labels)


def udp_queues(host: Host, out: Families) -> None:
    """Bytes that wait in UDP sockets."""
    for file, version in (("udp", "v4"), ("udp6", "v6")):
        text = host.maybe(f"proc/net/{file}")
        queues = [line.split()[4].split(":") for line in text.splitlines()[1:]]
        if text:
            help_text = "Bytes that wait in UDP sockets."
            for queue, at in (("tx", 0), ("rx", 1)):
                waiting = sum(int(pair[at], 16) for pair in queues)
                out.gauge("node_udp_queues", help_text, waiting, {"ip": version, "queue": queue})


def arp(host: Host, out: Families) -> None:
    """Neighbours known by each device."""
    lines = host.read("proc/net/arp").splitlines()[1:]
    for device, count in sorted(Counter(line.split()[5] for line in lines).items()):
        out.gauge("node_arp_entries", "ARP entries by device.", count, {"device": device})

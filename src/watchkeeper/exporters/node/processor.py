"""Processors: time by mode, load, interrupts, pressure, frequency."""

from watchkeeper.exporters.families import Families
from watchkeeper.exporters.node.host import Host, NotHere, numbers

_TICKS_PER_S = 100  # USER_HZ, the same on every Linux that there is
_MODES = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
_PRESSURES = (
    ("cpu", "some", "waiting", "a processor"),
    ("io", "full", "stalled", "input and output, all tasks at once"),
    ("io", "some", "waiting", "input and output"),
    ("memory", "full", "stalled", "memory, all tasks at once"),
    ("memory", "some", "waiting", "memory"),
    ("irq", "full", "stalled", "interrupts, all tasks at once"),
)


def cpu(host: Host, out: Families) -> None:
    """Time that each processor spent, by mode."""
    for line in host.read("proc/stat").splitlines():
        name, *words = line.split()
        if not name.startswith("cpu") or name == "cpu":
            continue
        label, ticks = name[3:], numbers(words)
        for mode, count in zip(_MODES, ticks, strict=False):
            help_text = "Seconds the CPUs spent in each mode."
            out.counter("node_cpu_seconds_total", help_text, count / _TICKS_PER_S, {"cpu": label, "mode": mode})
        for mode, count in zip(("user", "nice"), ticks[8:], strict=False):
            help_text = "Seconds the CPUs spent for guests (virtual machines), by mode."
            out.counter("node_cpu_guest_seconds_total", help_text, count / _TICKS_PER_S, {"cpu": label, "mode": mode})


def stat(host: Host, out: Families) -> None:
    """Counters of the whole kernel since boot."""
    names = {
        "ctxt": ("node_context_switches_total", "counter", "Context switches."),
        "btime": ("node_boot_time_seconds", "gauge", "When the host was started, Unix time."),
        "processes": ("node_forks_total", "counter", "Forks."),
        "intr": ("node_intr_total", "counter", "Interrupts served."),
        "procs_running": ("node_procs_running", "gauge", "Tasks that could run."),
        "procs_blocked": ("node_procs_blocked", "gauge", "Tasks waiting for input or output."),
    }
    for line in host.read("proc/stat").splitlines():
        word, _, rest = line.partition(" ")
        if word in names:
            name, kind, help_text = names[word]
            number = numbers(rest.split()[:1])[0]
            if kind == "counter":
                out.counter(name, help_text, number)
            else:
                out.gauge(name, help_text, number)


def loadavg(host: Host, out: Families) -> None:
    """Load averages."""
    for minutes, word in zip((1, 5, 15), host.read("proc/loadavg").split(), strict=False):
        out.gauge(f"node_load{minutes}", f"{minutes}m load average.", float(word))


def pressure(host: Host, out: Families) -> None:
    """How long tasks waited for a resource."""
    found = False
    for resource, line_name, name, what in _PRESSURES:
        for line in host.maybe(f"proc/pressure/{resource}").splitlines():
            word, *fields = line.split()
            total = next((text for text in fields if text.startswith("total=")), "")
            if word == line_name and total:
                found = True
                seconds = int(total.removeprefix("total=")) / 1e6
                full_name = f"node_pressure_{resource}_{name}_seconds_total"
                out.counter(full_name, f"Seconds in which tasks waited for {what}.", seconds)
    if not found:
        raise NotHere("proc/pressure")


def cpufreq(host: Host, out: Families) -> None:
    """Frequencies of each processor, where the host scales them."""
    for name in host.names("sys/devices/system/cpu"):
        if not name.removeprefix("cpu").isdecimal():
            continue
        labels = {"cpu": name.removeprefix("cpu")}
        for prefix, metric in (("cpuinfo", "node_cpu"), ("scaling", "node_cpu_scaling")):
            for kind, suffix in (("cur", ""), ("max", "_max"), ("min", "_min")):
                kilohertz = host.number(f"sys/devices/system/cpu/{name}/cpufreq/{prefix}_{kind}_freq")
                if kilohertz is not None:
                    full_name = f"{metric}_frequency{suffix}_hertz"
                    out.gauge(full_name, "Frequency of a processor.", kilohertz * 1000, labels)

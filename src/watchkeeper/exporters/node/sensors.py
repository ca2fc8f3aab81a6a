"""Temperatures, fans and the like, where the host has sensors."""

import re

from watchkeeper.exporters.families import Families
from watchkeeper.exporters.node.host import Host, NotHere

_SENSOR = re.compile(r"(temp|fan|in|curr|power|humidity)(\d+)_(input|average|max|min|crit|label|alarm)", re.ASCII)
_UNITS = {
    "temp": ("celsius", 1000),
    "fan": ("rpm", 1),
    "in": ("volts", 1000),
    "curr": ("amps", 1000),
    "power": ("watt", 1_000_000),
    "humidity": ("percent", 1000),
}


def hwmon(host: Host, out: Families) -> None:
    """Every sensor of every chip."""
    if not host.names("sys/class/hwmon"):
        raise NotHere("sys/class/hwmon")
    for name in host.names("sys/class/hwmon"):
        folder = f"sys/class/hwmon/{name}"
        chip = _chip(host, folder, name)
        chip_name = host.maybe(f"{folder}/name")
        if chip_name:
            labels = {"chip": chip, "chip_name": chip_name}
            out.gauge("node_hwmon_chip_names", "What a chip calls itself; always 1.", 1, labels)
        for file in host.names(folder):
            _read_sensor(host, out, f"{folder}/{file}", file, chip)


def _chip(host: Host, folder: str, name: str) -> str:
    """Name a chip by the device that it sits on, as the node exporter does."""
    device = (host.root / folder / "device").resolve()
    if not device.exists():
        return _clean(host.maybe(f"{folder}/name") or name)
    bus = (device / "subsystem").resolve().name
    return f"{_clean(bus)}_{_clean(device.name)}" if bus != "subsystem" else _clean(device.name)


def _read_sensor(host: Host, out: Families, path: str, file: str, chip: str) -> None:
    found = _SENSOR.fullmatch(file)
    if found is None:
        return
    kind, number, what = found.groups()
    labels = {"chip": chip, "sensor": f"{kind}{number}"}
    if what == "label":
        text = host.maybe(path)
        if text:
            out.gauge("node_hwmon_sensor_label", "What a sensor is called; always 1.", 1, {**labels, "label": text})
        return
    value = host.number(path)
    if value is None:
        return
    unit, scale = _UNITS[kind]
    if what == "alarm":
        out.gauge(f"node_hwmon_{kind}_alarm", f"Hardware sensor alarm status ({kind}).", value, labels)
        return
    suffix = "" if what == "input" else f"_{what}"
    scaled = value / scale if scale > 1 else value
    out.gauge(f"node_hwmon_{kind}{suffix}_{unit}", f"Hardware monitor for {kind} ({what}).", scaled, labels)


def thermal_zone(host: Host, out: Families) -> None:
    """Temperatures of the kernel's thermal zones."""
    for name in host.names("sys/class/thermal"):
        folder = f"sys/class/thermal/{name}"
        if name.startswith("thermal_zone"):
            celsius = host.number(f"{folder}/temp")
            if celsius is not None:
                labels = {"type": host.maybe(f"{folder}/type"), "zone": name.removeprefix("thermal_zone")}
                out.gauge("node_thermal_zone_temp", "Temperature of a zone, Celsius.", celsius / 1000, labels)
        elif name.startswith("cooling_device"):
            _cooling_device(host, out, folder, name)


def _cooling_device(host: Host, out: Families, folder: str, name: str) -> None:
    labels = {"name": name.removeprefix("cooling_device"), "type": host.maybe(f"{folder}/type")}
    for file in ("cur_state", "max_state"):
        state = host.number(f"{folder}/{file}")
        if state is not None:
            out.gauge(f"node_cooling_device_{file}", "Throttling of a cooling device.", state, labels)


def _clean(text: str) -> str:
    return re.sub(r"[^a-z0-9:_]", "_", text.strip().lower()).strip("_")

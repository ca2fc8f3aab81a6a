"""Alerts in the state store: what the desk knew, so that a restart forgets none."""

from collections.abc import Sequence
from typing import Any

import orjson
from sqlalchemy import delete, select

from watchkeeper.model.alert import Alert
from watchkeeper.store.state.db import StateStore
from watchkeeper.store.state.schema import alerts
from watchkeeper.store.state.upsert import upsert


def load_alerts(state: StateStore) -> list[Alert]:
    """Give all alerts that were kept."""
    with state.read() as connection:
        return [alert_of(row) for row in connection.execute(select(alerts))]


def save_alerts(state: StateStore, rows: Sequence[Alert]) -> None:
    """Write alerts, all or none; on the disk when it returns."""
    with state.write() as connection:
        upsert(connection, alerts, [_row(alert) for alert in rows])


def drop_alerts(state: StateStore, fingerprints: Sequence[int]) -> None:
    """Remove alerts."""
    keys = [f"{one:016x}" for one in fingerprints]
    with state.write() as connection:
        for start in range(0, len(keys), 500):
            connection.execute(delete(alerts).where(alerts.c.fingerprint.in_(keys[start : start + 500])))


def _row(alert: Alert) -> dict[str, Any]:
    return {
        "fingerprint": f"{alert.fingerprint:016x}",
        "labels": orjson.dumps(dict(alert.labels)).decode(),
        "annotations": orjson.dumps(dict(alert.annotations)).decode(),
        "starts_ms": alert.starts_at_ms,
        "ends_ms": alert.ends_at_ms,
        "updated_ms": alert.updated_at_ms,
        "generator_url": alert.generator_url,
    }


def alert_of(row: Any) -> Alert:
    """Give the alert that a row keeps."""
    return Alert(
        labels=orjson.loads(row.labels),
        annotations=orjson.loads(row.annotations),
        starts_at_ms=row.starts_ms,
        ends_at_ms=row.ends_ms,
        updated_at_ms=row.updated_ms,
        generator_url=row.generator_url,
    )

"""A summary with quantiles of the last ten minutes, as Prometheus' own process gives them of durations."""

import random
import threading
import time
from collections.abc import Iterable
from math import nan
from typing import Any

from prometheus_client import Summary
from prometheus_client.samples import Sample

_AGES = 5  # the oldest fifth is dropped at a time, as in Prometheus' client
_AGE_S = 600 / _AGES
_KEPT_MAX = 500  # of an age; of more, a random choice stands for all


class Quantiles(Summary):
    """A summary of count, sum and quantiles; NaN while nothing was observed. Safe from any thread.

    quantiles  between 0 and 1
    """

    def __init__(self, *words: Any, quantiles: tuple[float, ...] = (), **more: Any) -> None:
        self._quantiles = quantiles
        super().__init__(*words, **more)
        self._kwargs["quantiles"] = quantiles

    def _metric_init(self) -> None:
        super()._metric_init()
        self._observing = threading.Lock()
        self._chance = random.Random(1)  # noqa: S311 (a fair choice, no secret)
        self._ages: list[tuple[int, int, list[float]]] = []  # number of the age, how many were observed, values kept

    def observe(self, amount: float) -> None:
        super().observe(amount)
        now = int(time.monotonic() / _AGE_S)
        with self._observing:
            self._forget(now)
            if not self._ages or self._ages[-1][0] != now:
                self._ages.append((now, 0, []))
            _, seen, kept = self._ages[-1]
            if len(kept) < _KEPT_MAX:
                kept.append(amount)
            elif (place := self._chance.randrange(seen + 1)) < _KEPT_MAX:
                kept[place] = amount
            self._ages[-1] = now, seen + 1, kept

    def _forget(self, now: int) -> None:
        while self._ages and self._ages[0][0] <= now - _AGES:
            del self._ages[0]

    def _child_samples(self) -> Iterable[Sample]:
        with self._observing:
            self._forget(int(time.monotonic() / _AGE_S))
            weighed = sorted((value, seen / len(kept)) for _, seen, kept in self._ages for value in kept)
        found = [Sample("", {"quantile": f"{one:g}"}, _at(one, weighed), None, None) for one in self._quantiles]
        return (*found, *super()._child_samples())


def _at(quantile: float, weighed: list[tuple[float, float]]) -> float:
    """Give the smallest value that so much of the weight does not exceed."""
    wanted = quantile * sum(weight for _, weight in weighed)
    for value, weight in weighed:
        wanted -= weight
        if wanted <= 1e-9:
            return value
    return weighed[-1][0] if weighed else nan

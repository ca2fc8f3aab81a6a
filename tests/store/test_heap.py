from pathlib import Path

from watchkeeper.store.heap import trim


def resident_kib() -> int:
    return int(Path("/proc/self/status").read_text().split("VmRSS:")[1].split()[0])


def test_memory_that_was_freed_goes_back_to_the_system() -> None:
    kept: list[bytes] = []
    holes: list[bytes] = []
    for _ in range(3000):  # 30 MB, no two neighbours of which go together
        holes.append(b"x" * 10_000 + bytes(len(holes) % 2))
        kept.append(bytes(600))
    full = resident_kib()
    holes.clear()
    trim()
    assert resident_kib() < full - 8_000
    assert len(kept) == 3000

from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.collect import known_series
from watchkeeper.collect.known_series import KnownSeries, LabelBytes, hashes_of

KEYS = st.lists(st.binary(max_size=3), unique=True, max_size=300)


class Clumsy(bytes):
    """Bytes most of whose hashes share their lowest bits, so that slots are fought for."""

    def __hash__(self) -> int:
        return sum(self) * 4096 + len(self) % 2


@given(KEYS, KEYS)
def test_a_table_finds_what_a_dictionary_finds(known: list[bytes], asked: list[bytes]) -> None:
    table, plain = KnownSeries(), {key: at for at, key in enumerate(known)}
    for key, at in plain.items():
        assert table.get(hash(key)) is None
        table.add(hash(key), at)
    want = [plain.get(key, -1) for key in [*asked, *known]]
    assert table.find(hashes_of([*asked, *known])).tolist() == want
    assert [-1 if (found := table.get(hash(key))) is None else found for key in [*asked, *known]] == want
    assert len(table) == len(known)


def test_series_that_want_the_same_slot_are_told_apart_while_the_table_grows() -> None:
    keys = [Clumsy(at.to_bytes(at, "big")) for at in range(1, 256)] + [Clumsy(bytes([1]) * at) for at in range(3, 1500)]
    one_each = list({hash(key): key for key in keys}.values())
    table = KnownSeries()
    for at, key in enumerate(one_each):
        table.add(hash(key), at)
    assert table.find(hashes_of(one_each)).tolist() == list(range(len(one_each)))
    table.clear()
    assert table.find(hashes_of(one_each[:3])).tolist() == [-1, -1, -1]


def test_label_bytes_are_given_back_by_number() -> None:
    kept, keys = LabelBytes(), [f"series {at}".encode() * (at % 5) for at in range(3 * 256 + 7)]
    for key in keys:
        kept.append(key)
    assert len(kept) == len(keys)
    places = [*range(len(keys)), 5, 700, 300, 767, 768]
    assert [kept.get(at) for at in places] == [keys[at] for at in places]


def test_few_packs_are_kept_unpacked() -> None:
    kept = LabelBytes()
    for at in range(256 * 20):
        kept.append(b"%d" % at)
    for at in range(0, 256 * 20, 100):
        assert kept.get(at) == b"%d" % at
    assert len(kept._unpacked) <= known_series._UNPACKED_MAX

from tests.doubles import StillClock

from watchkeeper.net.throttle import Throttle, neighbourhood


def test_so_many_tries_then_none_until_the_window_ends() -> None:
    clock = StillClock()
    throttle = Throttle(5, 300, clock)
    assert [throttle.enter("bob", "1.1.1.1") for _ in range(5)] == [0] * 5
    assert throttle.enter("bob", "1.1.1.1") == 300
    assert throttle.enter("bob", "2.2.2.2") == 0, "another address is fine"
    clock.pass_s(299)
    assert throttle.enter("bob", "1.1.1.1") == 1
    clock.pass_s(1)
    assert throttle.enter("bob", "1.1.1.1") == 0


def test_a_right_try_is_forgiven() -> None:
    throttle = Throttle(2, 300, StillClock())
    throttle.enter("a")
    throttle.forgive("a")
    assert throttle.enter("a") == throttle.enter("a") == 0 < throttle.enter("a")
    throttle.undo("a")
    assert throttle.enter("a") == 0 < throttle.enter("a")


def test_memory_is_bounded() -> None:
    throttle = Throttle(5, 300, StillClock())
    for at in range(30_000):
        throttle.enter(str(at))
    assert len(throttle._tries) == 20_000


def test_one_customer_is_one_place() -> None:
    assert neighbourhood("2001:db8:1:2:3::4") == neighbourhood("2001:db8:1:2:ffff::") == "2001:db8:1:2::/64"
    assert neighbourhood("::ffff:1.2.3.4") == neighbourhood("1.2.3.4") == "1.2.3.4"
    assert neighbourhood("") == ""

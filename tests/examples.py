"""How many examples a property is tried with: few at each change, twenty-five times as many with WATCHKEEPER_LONG=1."""

import os


def examples(count: int) -> int:
    return count * 25 if os.environ.get("WATCHKEEPER_LONG") else count

"""The one tree of exceptions: what happens to right programs, with words for the person who must act."""


class WatchkeeperError(Exception):
    """Anything that may happen to a right program; its text is one line for a person."""


class BadInput(WatchkeeperError):
    """What came from outside cannot be used; nothing was stored of the part it names."""


class BadConfig(BadInput):
    """A file cannot be used: names file, line and field, what was got and what was wanted."""

    def __init__(self, file: str, line: int, field: str, got: str, want: str) -> None:
        where = f"{file}:{line}" if line else file
        named = f"{where}: {field}" if field else where
        super().__init__(f"{named}: got {got}, want {want}")
        self.file, self.line, self.field, self.got, self.want = file, line, field, got, want


class BadConfigs(BadInput):
    """Every fault found in one go; the text has one a line."""

    def __init__(self, faults: list[BadConfig]) -> None:
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = faults


class BadQuery(BadInput):
    """A query that cannot be parsed or typed; `position` is (line, column) from 1, where known."""

    def __init__(self, text: str, position: tuple[int, int] | None = None) -> None:
        super().__init__(text if position is None else f"{position[0]}:{position[1]}: {text}")
        self.position = position


class OverLimit(BadInput):
    """A limit was reached; names the setting, what was got and what is allowed."""

    def __init__(self, limit: str, got: object, allowed: object) -> None:
        super().__init__(f"{limit}: got {got}, want at most {allowed}")
        self.limit = limit


class Refused(WatchkeeperError):
    """Not now: overloaded, read-only or starting. `retry_after_s` is what the caller is told to wait."""

    def __init__(self, text: str, retry_after_s: int = 5) -> None:
        super().__init__(text)
        self.retry_after_s = retry_after_s


class NotDelivered(WatchkeeperError):
    """A receiver did not take a notification; `permanent` when trying again cannot help."""

    def __init__(self, text: str, *, permanent: bool) -> None:
        super().__init__(text)
        self.permanent = permanent


class Damaged(WatchkeeperError):
    """Bytes that we wrote do not check out; names file and offset."""

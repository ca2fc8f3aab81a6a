"""Kinds of values that fields of several files hold, read as Go's decoder reads them: null is what is empty."""

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator, SecretStr

ItemT = TypeVar("ItemT")


def none_is_empty(empty: Any) -> Callable[[Any], Any]:
    """Make a validator that takes null for something empty."""
    return lambda value: empty if value is None else value


Text = Annotated[str, BeforeValidator(none_is_empty(""))]
TextMap = Annotated[dict[str, str], BeforeValidator(none_is_empty({}))]
Several = Annotated[tuple[ItemT, ...], BeforeValidator(none_is_empty(()))]
Secret = SecretStr

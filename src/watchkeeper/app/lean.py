"""Loads structlog without Rich, which it would use for pretty tracebacks alone: 5 MB less in a process that stays.

Import this before anything that logs. The commands that draw tables still find Rich.
"""

import sys

_RICH = "rich"
if _RICH not in sys.modules:
    sys.modules[_RICH] = None  # type: ignore[assignment]  # Python's own way to say: there is no such module
    import structlog  # noqa: F401

    del sys.modules[_RICH]

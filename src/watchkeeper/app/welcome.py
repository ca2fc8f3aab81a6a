"""The first start: an administrator with a random password, printed once, and how to make keys."""

import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path

from watchkeeper.api.accounts import Accounts


class Welcome:
    """A Part that does its work at the first start and nothing at any other."""

    def __init__(self, accounts: Accounts, environ: Mapping[str, str], url: str, data: Path) -> None:
        self._accounts, self._environ, self._url, self._data = accounts, environ, url, data

    async def start(self) -> None:
        """Make the administrator, if there is none yet."""
        password = await asyncio.to_thread(self._accounts.first_admin, self._environ)
        if password is None:
            return
        where = "" if str(self._data) == "data" else f" --data {self._data}"
        lines = (
            f"Sign in at {self._url} as admin with this password, which is shown once:",
            f"    {password}",
            "Programs and agents use keys:",
            f"    watchkeeper keys add NAME --scopes read{where}",
        )
        sys.stdout.write("\n".join(["", *lines, "", ""]))
        sys.stdout.flush()

    async def stop(self) -> None:
        """Nothing to let go of."""

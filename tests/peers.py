"""Where the real programs are that tests start, and ports for them."""

import os
import socket
from pathlib import Path

PEERS = Path(os.environ.get("WATCHKEEPER_PEERS") or Path.home() / ".cache/watchkeeper/peers") / "usr/bin"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

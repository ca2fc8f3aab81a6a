import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # so that the tests can import liststore

from liststore import ListStore


@pytest.fixture
def store() -> ListStore:
    return ListStore()

import pytest
from tests.query.logql.liststore import ListStore


@pytest.fixture
def store() -> ListStore:
    return ListStore()

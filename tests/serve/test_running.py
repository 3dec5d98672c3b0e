"""Who is let in, and on which door."""

import socket

import pytest

from spaceform.errors import InputError
from spaceform.serve.guard import is_loopback
from spaceform.serve.limits import Limits
from spaceform.serve.running import check_token, listen
from spaceform.serve.shelf import media_type


def test_only_this_machine_needs_no_token():
    assert check_token(None, "127.0.0.1") is None
    assert check_token(None, "::1") is None
    assert check_token("sixteen-letters-x", "0.0.0.0") == "sixteen-letters-x"
    first, second = check_token("auto", "0.0.0.0"), check_token("auto", "0.0.0.0")
    assert len(first) == 32
    assert first != second
    for token, host in ((None, "0.0.0.0"), (None, "box.lan"), ("short", "127.0.0.1"), ("x" * 20 + ";", "127.0.0.1")):
        with pytest.raises(InputError, match="token"):
            check_token(token, host)
    assert [is_loopback(host) for host in ("localhost", "127.9.9.9", "[::1]", "10.0.0.1", "evil")] == [1, 1, 1, 0, 0]


def test_a_door_that_is_taken_is_named():
    with listen("127.0.0.1", 0) as door:
        door.listen()
        port = door.getsockname()[1]
        with pytest.raises(InputError, match=f"127.0.0.1:{port}"):
            listen("127.0.0.1", port)
    with pytest.raises(InputError, match="port"):
        listen("127.0.0.1", 70_000)
    assert isinstance(door, socket.socket)


@pytest.mark.parametrize("changes", [{"max_k": 0}, {"seconds": -1}, {"workers": 0}, {"max_body": 0}])
def test_limits_under_which_nothing_can_be_asked(changes):
    with pytest.raises(InputError, match=next(iter(changes))):
        Limits(**changes)


def test_only_pictures_are_sent_as_pictures():
    heads = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff\xe0": "image/jpeg", b"RIFF\0\0\0\0WEBP": "image/webp"}
    assert {head: media_type(head) for head in heads} == heads
    assert media_type(b"<svg xmlns=") is None

"""The server: a socket, the application on it, and an end that lets running answers finish."""

from __future__ import annotations

import re
import secrets
import socket
from collections.abc import Callable, Sequence

import uvicorn

from spaceform.checks import check_integer
from spaceform.errors import InputError
from spaceform.serve.app import make_app
from spaceform.serve.guard import is_loopback
from spaceform.serve.served import Served

AUTO = "auto"
_TOKEN = re.compile(r"[A-Za-z0-9_-]{16,200}")

GRACE = 3
"""Seconds that running answers have when the server ends."""


def check_token(token: str | None, host: str) -> str | None:
    """Return the token to ask for: the one given, a fresh one for ``"auto"``, or None on this machine alone.

    Raises ``InputError`` for a host that others can reach without a token, and for tokens that can be guessed.
    """
    if token == AUTO:
        return secrets.token_urlsafe(24)
    if token is None:
        if not is_loopback(host):
            raise InputError(
                "host", got=f"{host!r} without a token", expected="127.0.0.1, which only this machine reaches",
                remedy="add --token auto to let others in who have the token",
            )  # fmt: skip
        return None
    if not _TOKEN.fullmatch(token):
        raise InputError("token", got=f"{len(token)} characters", expected="16 to 200 letters, digits, - and _",
                         remedy="--token auto makes one")  # fmt: skip
    return token


def listen(host: str, port: int) -> socket.socket:
    """Return a bound socket; port 0 takes a free one. Raises ``InputError`` where nobody can listen."""
    check_integer(port, "port", low=0, high=65_535)
    made: socket.socket | None = None
    try:
        made = socket.socket(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0])
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
    except OSError as error:
        if made is not None:
            made.close()
        raise InputError(
            "port", got=f"{host}:{port} ({error.strerror})", expected="a free port of this machine",
            remedy="--port 0 takes any",
        ) from error  # fmt: skip
    return made


def serve(
    served: Served,
    door: socket.socket,
    *,
    hosts: Sequence[str] = (),
    token: str | None = None,
    ready: Callable[[], None] = lambda: None,
) -> None:
    """Answer on ``door`` until the process is interrupted; ``ready`` is called when it can be asked."""
    app = make_app(served, hosts=hosts, token=token)
    settings = uvicorn.Config(
        app, log_level="warning", access_log=False, timeout_graceful_shutdown=GRACE, server_header=False,
        timeout_keep_alive=15, lifespan="on", ws="none", h11_max_incomplete_event_size=64 * 1024,
    )  # fmt: skip
    server = _Server(settings, ready)
    server.run(sockets=[door])


class _Server(uvicorn.Server):
    """A server that says when it is ready."""

    def __init__(self, settings: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(settings)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then say so."""
        await super().startup(sockets=sockets)
        self._ready()

"""Who may ask and how much they may send; what every answer tells the browser to refuse."""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import json
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

COOKIE = "spaceform_token"
OPEN = frozenset({"/healthz"})
"""Addresses that need no token: they tell nothing."""

BODY_SECONDS = 15.0
"""How long a request may take to arrive."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}

RAW_HEADERS = [(name.encode(), value.encode()) for name, value in HEADERS.items()]


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine, seen from itself only."""
    if host.casefold() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class Guard:
    """Stands before the application: checks Host, Origin and token, takes bodies up to ``max_body``, adds headers.

    ``hosts`` are the names under which the server may be called. Addresses written in digits always are: no foreign
    name server can make a browser send those (DNS rebinding), whereas a foreign name could be pointed at us.
    """

    def __init__(self, app: App, *, hosts: Iterable[str], token: str | None, max_body: int) -> None:
        """Put the guard before ``app``."""
        self._app, self._token, self._max_body = app, token, max_body
        self._hosts = {host.casefold() for host in hosts} | {"localhost"}

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer, or let the application answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = {name for name, _ in message["headers"]}
                added = [one for one in RAW_HEADERS if one[0] not in own]
                message = {**message, "headers": [*message["headers"], *added]}
            await send(message)

        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        refusal = self._refusal(scope, headers)
        if refusal is not None:
            await _answer(guarded, *refusal)
            return
        login = self._login(scope)
        if login is not None:
            await _answer(guarded, 303, None, login)
            return
        body = await self._body(headers, receive)
        if isinstance(body, int):
            name, expected = ("time", "a request that arrives") if body == 408 else ("body", "a smaller one")
            await _answer(guarded, body, _error(name, "too much", f"{expected}, of at most {self._max_body} bytes"))
            return
        await self._app(scope, _replayed(body, receive), guarded)

    def _refusal(self, scope: Message, headers: dict[str, str]) -> tuple[int, dict[str, Any], dict[str, str]] | None:
        host = _name(headers.get("host", ""))
        if not self._is_ours(host):
            remedy = "call it by its address, or start it with --allow-host NAME"
            return 421, _error("Host", repr(host)[:80], "the name of this server", remedy), {}
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc.casefold() != headers["host"].casefold():
            return 403, _error("Origin", repr(origin)[:80], "a page of this server"), {}
        if self._token and scope["path"] not in OPEN and not self._may_enter(scope, headers):
            remedy = "open the address with the token that the server printed, or send Authorization: Bearer TOKEN"
            return (
                401,
                _error("token", "none that fits", "the token of this server", remedy),
                {"www-authenticate": "Bearer"},
            )
        return None

    def _is_ours(self, host: str) -> bool:
        if host.casefold() in self._hosts:
            return True
        try:
            ipaddress.ip_address(host)
        except ValueError:
            return False
        return True

    def _may_enter(self, scope: Message, headers: dict[str, str]) -> bool:
        kind, _, bearer = headers.get("authorization", "").partition(" ")
        given = [bearer.strip()] if kind.casefold() == "bearer" else []
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        except CookieError:
            cookie = None
        given += [cookie.value] if cookie is not None else []
        given += [value for name, value in _asked(scope) if name == "token" and scope["path"] == "/"]
        token = (self._token or "").encode()
        return any(hmac.compare_digest(one.encode(), token) for one in given)

    def _login(self, scope: Message) -> dict[str, str] | None:
        """Return how a page opened with the token in its address goes on: with a cookie, and without the token."""
        if not self._token or scope["path"] != "/" or all(name != "token" for name, _ in _asked(scope)):
            return None
        rest = urlencode([(name, value) for name, value in _asked(scope) if name != "token"])
        cookie = f"{COOKIE}={self._token}; HttpOnly; SameSite=Strict; Path=/"
        return {"location": "/" + (f"?{rest}" if rest else ""), "set-cookie": cookie}

    async def _body(self, headers: dict[str, str], receive: Receive) -> bytes | int:
        """Return the body, or the status that refuses it."""
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > self._max_body:
            return 413
        parts, size, more = [], 0, True
        try:
            async with asyncio.timeout(BODY_SECONDS):
                while more:
                    message = await receive()
                    if message["type"] != "http.request":
                        return 408
                    parts.append(message.get("body", b""))
                    size, more = size + len(parts[-1]), message.get("more_body", False)
                    if size > self._max_body:
                        return 413
        except TimeoutError:
            return 408
        return b"".join(parts)


def _replayed(body: bytes, receive: Receive) -> Receive:
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


def _asked(scope: Message) -> list[tuple[str, str]]:
    return parse_qsl(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)


def _name(host: str) -> str:
    """Return the host without its port."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if host.count(":") == 1 else host


def _error(name: str, got: str, expected: str, remedy: str = "") -> dict[str, Any]:
    message = f"{name}: got {got}, expected {expected}" + (f"; {remedy}" if remedy else "")
    return {"error": {"name": name, "got": got, "expected": expected, "remedy": remedy, "message": message}}


async def _answer(send: Send, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
    content = b"" if body is None else json.dumps(body).encode()
    fixed = {"content-type": "application/json", "content-length": str(len(content)), **(headers or {})}
    raw = [(name.encode(), value.encode("latin-1")) for name, value in fixed.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": content})

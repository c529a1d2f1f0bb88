"""Which request of a browser is let through: by its Host, its Origin, its size and, where there is a password, a login.

A page of any other site in the same browser reaches 127.0.0.1 too. Its requests carry its own Origin (RFC 6454), and a
name that was rebound to this machine stands in Host; neither is let through.
"""

import asyncio
import hmac
import math
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from contextlib import suppress
from html import escape
from typing import Any
from urllib.parse import parse_qs, urlsplit

from edge.console.password import Password
from edge.console.texts import LOGIN, language_of

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
BODY_BYTES_MAX = 26_000_000  # an upload and what the form adds to it
LOGIN_BYTES_MAX = 4096
COOKIE = "limen_login"
KEPT = "kept"  # asked of /login after the password: whether the cookie comes back
LOGIN_SECONDS = 12 * 3600.0
LOGINS_MAX = 100
WAIT_SECONDS_MAX = 60.0  # after many wrong passwords
HEADERS = [(b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"same-origin")]
FORM = """<!doctype html><html lang="{lang}"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>limen</title><style>:root{{color-scheme:light dark;font-family:system-ui,sans-serif}}
main{{max-width:20rem;margin:20vh auto;padding:0 1rem}}input,button{{font:inherit;width:100%;box-sizing:border-box;
padding:.6rem;margin:.4rem 0}}p{{min-height:1.5em}}</style><main><h1>limen</h1><form method="post" action="/login">
<label>{label}<input type="password" name="password" autocomplete="current-password" autofocus required></label>
<button>{button}</button></form><p role="alert">{problem}</p></main></html>"""


class Access:
    """A layer before the pages (ASGI). hosts: names and addresses under which the console may be reached.

    password: None lets everybody through who reaches it
    frames: origins whose pages may show this one in a frame (CSP 3, frame-ancestors)
    """

    def __init__(
        self,
        app: App,
        hosts: Iterable[str] = LOOPBACK,
        password: Password | None = None,
        frames: Iterable[str] = (),
    ) -> None:
        ancestors = " ".join(["frame-ancestors 'self'", *frames])
        self._headers = [*HEADERS, (b"content-security-policy", ancestors.encode("ascii"))]
        self._app, self._hosts, self._password = app, frozenset(hosts), password
        self._logins: dict[str, float] = {}  # until when
        self._trying = asyncio.Lock()
        self._wrong, self._wait_until = 0, 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or one websocket."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        send = with_headers(send, self._headers)
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        problem = self._problem(scope, headers)
        if problem is not None:
            await refuse(scope, send, *problem)
        elif self._password is not None and scope.get("path") == "/login" and scope["type"] == "http":
            await self._login(scope, receive, send, headers)
        elif (until := self._lets_in_until(headers.get("cookie", ""))) <= time.monotonic():
            if scope["type"] == "http" and scope.get("method") == "GET":
                await respond(send, 303, b"", [(b"location", b"/login")])
            else:
                await refuse(scope, send, 401, "log in first")
        else:
            if scope["type"] == "websocket" and until < math.inf:
                receive = ending(receive, until)
            browser = Browser(receive)
            try:
                await self._app(scope, browser.receive, send)
            except Exception:  # Starlette's own, of whoever has left before the answer or within an upload
                if not browser.left:
                    raise

    def _problem(self, scope: Scope, headers: dict[str, str]) -> tuple[int, str] | None:
        """Why it is not let through: a status and words; None where it is."""
        host = headers.get("host", "")
        if name_of(f"//{host}") not in self._hosts:
            return 421, f"this console is not called {host[:100]!r}: name it with --name"
        origin = headers.get("origin")
        if origin is not None and origin.lower() not in {f"http://{host.lower()}", f"https://{host.lower()}"}:
            return 403, "a request of another site"
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > BODY_BYTES_MAX:
            return 413, f"at most {BODY_BYTES_MAX} bytes are taken at once"
        if scope["type"] == "http" and scope.get("method") not in {"GET", "HEAD", "POST"}:
            return 405, "only GET, HEAD and POST"
        return None

    def _lets_in_until(self, cookies: str) -> float:
        """Until when these cookies let somebody in, by time.monotonic(); -inf where none of them is that of a login."""
        if self._password is None:
            return math.inf
        parts = (one.strip().partition("=") for one in cookies.split(";"))
        given = [value.encode() for name, _, value in parts if name == COOKIE]
        return max(
            (
                until
                for token, until in self._logins.items()
                if any(hmac.compare_digest(token.encode(), one) for one in given)
            ),
            default=-math.inf,
        )

    async def _login(self, scope: Scope, receive: Receive, send: Send, headers: dict[str, str]) -> None:
        lang, label, button, wrong, lost = map(escape, LOGIN[language_of(headers.get("accept-language", ""))])

        async def show(status: int, problem: str) -> None:
            await respond(send, status, FORM.format(lang=lang, label=label, button=button, problem=problem).encode())

        if scope["method"] != "POST":
            if scope.get("query_string") != KEPT.encode():
                await show(200, "")
            elif self._lets_in_until(headers.get("cookie", "")) > time.monotonic():
                await respond(send, 303, b"", [(b"location", b"/")])
            else:
                await show(200, lost.format(here=escape(f"{scope.get('scheme', 'http')}://{headers['host']}")))
            return
        body = await body_of(receive, LOGIN_BYTES_MAX)
        given = parse_qs(body.decode("utf-8", "replace")).get("password", [""])[0]
        if not await self._is_right(given):
            await show(403, wrong)
            return
        cookie = f"{COOKIE}={self._new_login()}; HttpOnly; SameSite=Strict; Path=/; Max-Age={LOGIN_SECONDS:.0f}"
        await respond(send, 303, b"", [(b"location", f"/login?{KEPT}".encode()), (b"set-cookie", cookie.encode())])

    def _new_login(self) -> str:
        """The token of a login that holds from now on."""
        now, token = time.monotonic(), secrets.token_urlsafe(32)
        kept = sorted(((until, one) for one, until in self._logins.items() if until > now), reverse=True)
        self._logins = {one: until for until, one in kept[: LOGINS_MAX - 1]} | {token: now + LOGIN_SECONDS}
        return token

    async def _is_right(self, given: str) -> bool:
        """Whether that is the password; one after the other, and after wrong ones not at once."""
        assert self._password is not None  # noqa: S101 -- the caller has asked
        if self._trying.locked() or time.monotonic() < self._wait_until:
            return False
        async with self._trying:
            if await self._password.matches(given):
                self._wrong = 0
                return True
            self._wrong += 1
            self._wait_until = time.monotonic() + min(WAIT_SECONDS_MAX, 2.0 ** min(self._wrong - 3, 6))
            return False


def name_of(url: str) -> str | None:
    """The host's name in a URL, in lower case; None where it cannot be read."""
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


async def body_of(receive: Receive, bytes_max: int) -> bytes:
    """The body of a request, cut off at so many bytes."""
    body, more = b"", True
    while more and len(body) <= bytes_max:
        message = await receive()
        body += message.get("body", b"")
        more = message["type"] == "http.request" and message.get("more_body", False)
    return body[:bytes_max]


class Browser:
    """What comes from one. A body ends after BODY_BYTES_MAX as if it had left: a length need not be declared."""

    def __init__(self, receive: Receive) -> None:
        self._receive, self._bytes, self.left = receive, 0, False

    async def receive(self) -> MutableMapping[str, Any]:
        """The next message (ASGI)."""
        message = await self._receive()
        self._bytes += len(message.get("body", b"")) if message["type"] == "http.request" else 0
        if self._bytes > BODY_BYTES_MAX:
            message = {"type": "http.disconnect"}
        self.left |= message["type"] == "http.disconnect"
        return message


def ending(receive: Receive, until: float) -> Receive:
    """The same for a websocket, which ends at that time, by time.monotonic(), as if the browser had left.

    Its cookie comes with the handshake alone, and a page may stay open for days: only this ends with the login what
    the page can see and do. Whoever serves a websocket waits for its messages, and closes it after the last.
    """

    async def received() -> MutableMapping[str, Any]:
        left = until - time.monotonic()
        if left > 0:  # else a message that is there already would be taken
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    return await receive()
        return {"type": "websocket.disconnect", "code": 1008, "reason": "log in again"}

    return received


def with_headers(send: Send, headers: list[tuple[bytes, bytes]]) -> Send:
    """The same, with these headers on every answer."""

    async def added(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", []), *headers]
        await send(message)

    return added


async def refuse(scope: Scope, send: Send, status: int, why: str) -> None:
    """Answer with a status and a line, or close the websocket before it is open."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": why[:100]})
    else:
        await respond(send, status, f"{why}\n".encode(), content_type=b"text/plain; charset=utf-8")


async def respond(
    send: Send,
    status: int,
    body: bytes,
    headers: Iterable[tuple[bytes, bytes]] = (),
    content_type: bytes = b"text/html; charset=utf-8",
) -> None:
    """Send a whole answer."""
    every = [(b"content-type", content_type), (b"content-length", str(len(body)).encode()), *headers]
    await send({"type": "http.response.start", "status": status, "headers": every})
    await send({"type": "http.response.body", "body": body})

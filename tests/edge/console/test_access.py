"""What another site, another host or a stranger in the network tries, refused; and what people do, let through."""

import asyncio
import stat
import time
from contextlib import suppress

import pytest
from click.testing import CliRunner

from edge.commands.main import main
from edge.console.access import BODY_BYTES_MAX, COOKIE, Access
from edge.console.password import read_password, write_password
from edge.errors import ConfigError

WORD = "long enough a word"


async def page(scope, receive, send):
    """What is behind: it reads the body and says how long that was."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        return
    length, more = 0, True
    while more:
        message = await receive()
        length += len(message.get("body", b""))
        more = message.get("more_body", False)
        if message["type"] == "http.disconnect":
            return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(length).encode()})


def ask(access, path="/", method="GET", kind="http", body=(b"",), query=b"", **headers):
    """The messages that come back."""
    said, parts = [], list(body)
    headers = {"host": "127.0.0.1:8340"} | {name.replace("_", "-"): value for name, value in headers.items()}

    async def receive():
        return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}

    async def send(message):
        said.append(message)

    scope = {
        "type": kind, "path": path, "method": method, "query_string": query,
        "headers": [(name.encode(), value.encode()) for name, value in headers.items() if value is not None],
    }  # fmt: skip
    asyncio.run(access(scope, receive, send))
    return said


def status(*args, **options):
    said = ask(*args, **options)
    return said[0]["status"] if said else None


@pytest.mark.parametrize("host", ["127.0.0.1:8340", "localhost", "LOCALHOST:1", "[::1]:8340"])
def test_the_page_is_there_for_this_machine(host):
    said = ask(Access(page), host=host)
    assert said[0]["status"] == 200
    assert (b"content-security-policy", b"frame-ancestors 'self'") in said[0]["headers"]


def test_a_page_that_is_named_may_show_it_in_a_frame():
    said = ask(Access(page, frames=("http://ha.local:8123",)))
    assert (b"content-security-policy", b"frame-ancestors 'self' http://ha.local:8123") in said[0]["headers"]
    for wrong in ("ha.local", "http://ha.local/x", "http://ha.local; script-src *", "javascript:1"):
        refused = CliRunner().invoke(main, ["console", "--frame", wrong])
        assert refused.exit_code == 2
        assert "is no http://HOST" in refused.output


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "", "[", "localhost.", "a@evil.example", None]
)
def test_a_name_that_was_rebound_to_this_machine_is_refused(host):
    assert status(Access(page), host=host) == 421


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:9999", "http://localhost:8340", "["]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_request_of_another_site_is_refused(origin, method):
    assert status(Access(page), method=method, origin=origin) == 403


def test_a_websocket_of_another_site_is_closed_before_it_is_open():
    assert [one["type"] for one in ask(Access(page), kind="websocket", origin="http://evil.example")] == [
        "websocket.close"
    ]
    assert [one["type"] for one in ask(Access(page), kind="websocket", origin="http://127.0.0.1:8340")] == [
        "websocket.accept"
    ]


@pytest.mark.parametrize("method", ["PUT", "DELETE", "TRACE", "OPTIONS"])
def test_other_methods_are_refused(method):
    assert status(Access(page), method=method) == 405


def test_a_body_is_bounded_whether_or_not_its_length_is_said():
    assert status(Access(page), method="POST", content_length=str(BODY_BYTES_MAX + 1)) == 413
    assert status(Access(page), method="POST", content_length="-1") == 413
    part = b"x" * (BODY_BYTES_MAX // 2)
    assert ask(Access(page), method="POST", body=(part, part))[1]["body"] == str(2 * len(part)).encode()
    assert status(Access(page), method="POST", body=(part, part, b"x")) is None  # as if the browser had left


@pytest.fixture(scope="module")
def password(tmp_path_factory):
    path = tmp_path_factory.mktemp("console") / "password"
    write_password(path, WORD)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert WORD not in path.read_text()
    return read_password(path)


def log_in(access, word):
    return ask(access, "/login", "POST", body=(f"password={word}".encode(),))


def cookie_of(said):
    (cookie,) = [value.decode() for name, value in said[0]["headers"] if name == b"set-cookie"]
    return cookie


def test_nothing_is_shown_before_the_login(password):
    access = Access(page, ["192.0.2.7"], password)
    assert (status(access, host="192.0.2.7"), status(access, "/people", "POST", host="192.0.2.7")) == (303, 401)
    assert [one["type"] for one in ask(access, kind="websocket", host="192.0.2.7")] == ["websocket.close"]
    assert status(access, "/login", host="192.0.2.7") == 200


def test_a_login_holds_for_its_cookie_alone(password):
    access = Access(page, password=password)
    said = log_in(access, WORD.replace(" ", "+"))
    cookie = cookie_of(said)
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    held = cookie.partition(";")[0]
    assert status(access, cookie=f"other=1; {held}") == 200
    for wrong in (f"{COOKIE}=", f"{COOKIE}=x", f"x{held}", held[:-1], ""):
        assert status(access, cookie=wrong) == 303, wrong


async def talk(access, cookie, seconds, interval=0.05):
    """What is heard of a browser that says something all the time, over a websocket that is open so long at most."""
    heard, opened = [], False

    async def behind(_scope, receive, _send):
        while not heard or heard[-1]["type"] != "websocket.disconnect":
            heard.append(await receive())

    async def receive():
        nonlocal opened
        if opened:
            await asyncio.sleep(interval)
        message = {"type": "websocket.receive", "text": "x"} if opened else {"type": "websocket.connect"}
        opened = True
        return message

    async def send(message):
        heard.append(message)

    access._app = behind
    headers = [(b"host", b"localhost"), (b"cookie", cookie.encode())]
    with suppress(TimeoutError):
        await asyncio.wait_for(access({"type": "websocket", "headers": headers}, receive, send), seconds)
    return [one["type"].removeprefix("websocket.") for one in heard]


def ending(access, said, seconds):
    """The cookie of that login, which from now on holds so long."""
    cookie = cookie_of(said).partition(";")[0]
    access._logins[cookie.partition("=")[2]] = time.monotonic() + seconds
    return cookie


@pytest.mark.parametrize("interval", [0.0, 0.05, 60.0])  # whether or not something is there to be received
def test_a_websocket_ends_with_its_login(password, interval):
    access = Access(page, password=password)
    began = time.monotonic()
    cookie = ending(access, log_in(access, WORD.replace(" ", "+")), 1.0)
    heard = asyncio.run(talk(access, cookie, 20, interval))
    assert 1.0 <= time.monotonic() - began < 15
    assert (heard[0], heard[-1], set(heard[1:-1])) == ("connect", "disconnect", {"receive"} if interval < 1 else set())
    assert asyncio.run(talk(access, cookie, 20)) == ["close"]  # nor is another one opened


def test_a_websocket_lasts_as_long_as_the_login_that_holds_longest_and_without_a_password_for_ever(password):
    access = Access(page, password=password)
    cookies = [ending(access, log_in(access, WORD.replace(" ", "+")), seconds) for seconds in (0.1, 60, 0.1)]
    for one, cookie in ((access, "; ".join(cookies)), (Access(page), "")):
        assert "disconnect" not in asyncio.run(talk(one, cookie, 0.5))


def test_whoever_has_the_password_but_keeps_no_cookie_is_told_why(password):
    access = Access(page, password=password)
    said = log_in(access, WORD.replace(" ", "+"))
    assert (b"location", b"/login?kept") in said[0]["headers"]
    held = cookie_of(said).partition(";")[0]
    kept = ask(access, "/login", query=b"kept", cookie=held)
    assert (kept[0]["status"], (b"location", b"/") in kept[0]["headers"]) == (303, True)
    lost = ask(access, "/login", query=b"kept")
    assert lost[0]["status"] == 200
    assert "keeps no login" in lost[1]["body"].decode()
    assert "Open http://127.0.0.1:8340 by itself" in lost[1]["body"].decode()
    assert "keeps no login" not in ask(access, "/login")[1]["body"].decode()


def test_guesses_at_once_are_one_guess(password):
    access = Access(page, password=password)

    async def guess():
        said = []

        async def receive():
            return {"type": "http.request", "body": b"password=wrong"}

        async def send(message):
            said.append(message)

        headers = [(b"host", b"localhost"), (b"accept-language", b"de")]
        await access({"type": "http", "path": "/login", "method": "POST", "headers": headers}, receive, send)
        return said

    async def many():
        return await asyncio.gather(*(guess() for _ in range(50)))

    answers = asyncio.run(many())
    assert {one[0]["status"] for one in answers} == {403}
    assert "Passwort" in answers[0][1]["body"].decode()
    assert access._wrong == 1
    access._wrong, access._wait_until = 5000, 0.0
    assert log_in(access, "wrong")[0]["status"] == 403


def test_wrong_passwords_get_nothing_and_soon_have_to_wait(password):
    access = Access(page, password=password)
    for word in ("", "wrong", "x" * 100_000):
        said = log_in(access, word)
        assert said[0]["status"] == 403
        assert not [name for name, _ in said[0]["headers"] if name == b"set-cookie"]
    assert log_in(access, WORD.replace(" ", "+"))[0]["status"] == 403  # for a second or so


@pytest.mark.parametrize("text", ["", "scrypt$a$b", "scrypt$YQ==$YQ==", "plain", "scrypt$\xe9$"])
def test_a_file_that_holds_no_password_is_named(text, tmp_path):
    path = tmp_path / "password"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"holds no password: write one with --set-password"):
        read_password(path)


def test_a_password_is_long_enough_and_its_file_can_be_written(tmp_path):
    with pytest.raises(ConfigError, match="10 to 1000 characters, this one has 5"):
        write_password(tmp_path / "password", "short")
    with pytest.raises(ConfigError, match="cannot be written"):
        write_password(tmp_path / "none" / "password", WORD)
    with pytest.raises(ConfigError, match=r"cannot be read: .*--set-password .*password writes one"):
        read_password(tmp_path / "password")

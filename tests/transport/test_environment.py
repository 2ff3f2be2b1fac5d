import asyncio
import gc
import ipaddress
import json
import os
import ssl
import sys
import threading

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st
from proxies import clear_proxies, http_proxy, listening, socks_proxy
from raw_peer import frame, raw_server, told

from avatarwire.errors import ConnectFailedError, RestError, SettingError
from avatarwire.transport import connect, environment, opening, post_json, shared_client
from avatarwire.transport.environment import explain_tls, is_loopback, proxy_for, trust

PASSWORD = "hush-hush"


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch):
    clear_proxies(monkeypatch)
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE"):
        monkeypatch.delenv(name, raising=False)


# Loopback


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True),
        ("LOCALHOST.", True),
        ("emulator.localhost", True),
        ("127.0.0.1", True),
        ("127.0.0.2", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("0.0.0.0", True),  # noqa: S104
        ("::", True),
        ("10.0.0.1", False),
        ("fe80::1%eth0", False),
        ("localhost.example.com", False),
        ("notlocalhost", False),
        ("a.b", False),
        ("", False),
    ],
)
def test_loopback(host, loopback):
    assert is_loopback(host) is loopback


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1"])
@pytest.mark.parametrize("scheme", ["http", "https", "ws", "wss"])
def test_nothing_is_a_way_to_this_machine(scheme, host, monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "ws_proxy"):
        monkeypatch.setenv(name, "nonsense://")
    monkeypatch.setenv("NO_PROXY", "[::1")
    assert proxy_for(scheme, host, 80) is None


# Which proxy


def proxied(variables, scheme="https", host="avatar.example.com", port=443):
    with pytest.MonkeyPatch.context() as patch:
        clear_proxies(patch)
        for name, value in variables.items():
            patch.setenv(name, value)
        return proxy_for(scheme, host, port)


@pytest.mark.parametrize(
    ("scheme", "order"),
    [
        ("http", ["http", "all", "socks"]),
        ("https", ["https", "all", "socks"]),
        ("ws", ["ws", "http", "all", "socks"]),
        ("wss", ["wss", "https", "all", "socks"]),
    ],
)
@pytest.mark.parametrize("spelled", [str.upper, str.lower])
def test_the_order_of_the_variables(scheme, order, spelled):
    names = [spelled(f"{name}_proxy") for name in order]
    values = {name: f"http://proxy-{name.lower()}:1" for name in names}
    for position, name in enumerate(names):
        left = {each: values[each] for each in names[position:]}
        assert proxied(left, scheme).setting == name
    others = {"http", "https", "ws", "wss", "all", "socks"} - set(order)
    assert proxied({f"{name}_proxy": "http://p:1" for name in others}, scheme) is None


@pytest.mark.skipif(sys.platform == "win32", reason="its variables have no small letters")
def test_small_letters_come_first_and_an_empty_variable_is_none():
    both = {"https_proxy": "http://small:1", "HTTPS_PROXY": "http://large:1"}
    assert (proxied(both).host, proxied(both).setting) == ("small", "https_proxy")
    assert proxied({"https_proxy": "", "ALL_PROXY": "http://all:1"}).host == "all"
    assert proxied({"HTTPS_PROXY": "  "}) is None


@pytest.mark.parametrize(
    ("value", "url"),
    [
        ("proxy.corp:3128", "http://proxy.corp:3128"),
        ("proxy.corp", "http://proxy.corp:80"),
        ("http://proxy.corp", "http://proxy.corp:80"),
        ("HTTP://Proxy.Corp:3128/", "http://proxy.corp:3128"),
        ("https://proxy.corp", "https://proxy.corp:443"),
        ("http://[fd00::1]:3128", "http://[fd00::1]:3128"),
        ("socks5://proxy.corp", "socks5h://proxy.corp:1080"),
        ("socks5h://proxy.corp:9050", "socks5h://proxy.corp:9050"),
        ("socks://127.0.0.1:1080/", "socks5h://127.0.0.1:1080"),
        ("http://me:a%40b@proxy.corp:1", "http://me:a%40b@proxy.corp:1"),
        ("me:a@b@proxy.corp:1", "http://me:a%40b@proxy.corp:1"),
        ("http://me@proxy.corp:1", "http://me:@proxy.corp:1"),
    ],
)
def test_how_a_proxy_may_be_written(value, url):
    proxy = proxied({"ALL_PROXY": value})
    assert proxy.url == url
    assert "a%40b" not in f"{proxy} {proxy!r} {proxy.url!r} {[proxy.password]}"
    assert str(proxy).endswith("(ALL_PROXY)")


@pytest.mark.parametrize(
    "value",
    [
        f"ftp://me:{PASSWORD}@proxy:1",
        f"socks4://me:{PASSWORD}@proxy:1",
        f"http://me:{PASSWORD}#1@proxy:1",
        f"http://me:{PASSWORD}/1@proxy:1",
        f"http://me:{PASSWORD}@proxy:port",
        f"http://me:{PASSWORD}@proxy:1/path",
        f"http://me:{PASSWORD}@proxy:1?query",
        f"http://me:{PASSWORD}@",
        f"http://me:{PASSWORD}@[::1",
        f"http://me:{PASSWORD}@a b:1",
        "://",
        "http://",
    ],
)
def test_a_proxy_that_cannot_be_used_is_named_by_its_variable_alone(value):
    with pytest.raises(SettingError, match="HTTPS_PROXY is not a proxy") as refused:
        proxied({"HTTPS_PROXY": value})
    assert refused.value.setting == "HTTPS_PROXY"
    assert PASSWORD not in told(refused.value)
    assert proxied({"HTTPS_PROXY": value, "NO_PROXY": "*"}) is None


@pytest.mark.parametrize("package", ["socksio", "python_socks"])
def test_a_socks_proxy_needs_an_extra(package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(SettingError, match=r'pip install "avatarwire\[socks\]"') as refused:
        proxied({"ALL_PROXY": f"socks5://me:{PASSWORD}@proxy:1"})
    assert refused.value.setting == "ALL_PROXY"
    assert PASSWORD not in told(refused.value)


def test_the_systems_own_settings(monkeypatch):
    monkeypatch.setattr("urllib.request.getproxies", lambda: {"socks": "http://system:1080"})
    bypassed = set()
    monkeypatch.setattr("urllib.request.proxy_bypass", bypassed.__contains__)
    proxy = proxy_for("wss", "avatar.example.com", 443)
    assert (proxy.url, proxy.setting) == ("socks5h://system:1080", "the system's proxy settings")
    bypassed.add("avatar.example.com")
    assert proxy_for("wss", "avatar.example.com", 443) is None


# NO_PROXY


@pytest.mark.parametrize(
    ("entry", "host", "exempt"),
    [
        ("*", "anything.example", True),
        ("example.com", "example.com", True),
        ("example.com", "api.example.com", True),
        ("example.com", "EXAMPLE.com.", True),
        ("example.com", "notexample.com", False),
        (".example.com", "api.example.com", True),
        ("*.example.com", "api.example.com", True),
        ("Example.COM", "api.example.com", True),
        ("example.com:443", "example.com", True),
        ("example.com:8443", "example.com", False),
        ("localhost,127.0.0.1,::1,[::1]", "example.com", False),
        ("a.b, example.com", "example.com", True),
        ("a.b example.com", "example.com", True),
        ("10.1.2.3", "10.1.2.3", True),
        ("10.1.2.3:443", "10.1.2.3", True),
        ("10.1.2.3:80", "10.1.2.3", False),
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.9.9.9/8", "10.1.2.3", True),
        ("10.0.0.0/8", "11.1.2.3", False),
        ("10.0.0.0/8", "10.example.com", False),
        ("2.3", "10.1.2.3", False),
        ("fd07:b51a:cc66:f0::/64", "fd07:b51a:cc66:f0::9", True),
        ("fd07:b51a:cc66:f0::/64", "fd07:b51a:cc66:f1::9", False),
        ("fd00::1", "fd00:0:0::1", True),
        ("[fd00::1]", "fd00::1", True),
        ("[fd00::1]:443", "fd00::1", True),
        ("[fd00::]/8", "fd12::1", True),
        ("[fd00::]/8:443", "fd12::1", True),
        ("[fd00::]/8:80", "fd12::1", False),
        ("[fd00::]/8", "fe80::1", False),
        ("[fd00::1]:80", "fd00::1", False),
        ("fe80::/10", "fe80::1%eth0", True),
        ("10.0.0.0/8", "::ffff:10.1.2.3", True),
        ("fe80::/10", "10.1.2.3", False),
        ("", "example.com", False),
        (".", "example.com", False),
        ("*.", "example.com", False),
        ("[", "example.com", False),
        ("10.0.0.0/99", "10.1.2.3", False),
    ],
)
def test_no_proxy(entry, host, exempt):
    variables = {"ALL_PROXY": "http://proxy:1", "NO_PROXY": entry}
    assert (proxied(variables, host=host) is None) is exempt


@given(st.text(alphabet="abc.:*[]/,0123456789 %@\\", max_size=40))
def test_whatever_no_proxy_says_it_decides(text):
    for host in ("example.com", "10.1.2.3", "fd00::1"):
        proxied({"ALL_PROXY": "http://proxy:1", "NO_PROXY": text}, host=host)


@given(st.ip_addresses(), st.integers(0, 32))
def test_a_network_holds_what_it_holds(address, prefix):
    network = ipaddress.ip_network(f"{address}/{prefix}", strict=False)
    if not is_loopback(str(address)):
        variables = {"ALL_PROXY": "http://proxy:1", "NO_PROXY": str(network)}
        assert proxied(variables, host=str(address)) is None


# Through a proxy


async def post(url, **options):
    async with shared_client(options.pop("ssl_context", None)) as client:
        return await post_json(client, url, {}, headers={"X": "1"}, timeout_s=5)


@pytest.fixture
def both_stacks(monkeypatch):
    """Go through the proxy of ``variables`` by REST and by WebSocket."""

    async def go(make_proxy, url_of, *, secure=False, ssl_context=None, server_ssl=None):
        body = json.dumps({"code": 0}).encode()
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
        s = "s" if secure else ""
        async with (
            raw_server(answer, ssl=server_ssl) as rest,
            raw_server(ssl=server_ssl) as websocket,
            make_proxy(rest.port) as to_rest,
            make_proxy(websocket.port) as to_websocket,
        ):
            monkeypatch.setenv("ALL_PROXY", url_of(to_rest.port))
            response = await post(f"http{s}://avatar.invalid/start", ssl_context=ssl_context)
            assert response.body == {"code": 0}
            monkeypatch.setenv("ALL_PROXY", url_of(to_websocket.port))
            client = await connect(
                f"ws{s}://avatar.invalid/live",
                open_timeout_s=5,
                ssl_context=ssl_context if secure else None,
            )
            assert client.write_batch(frame(b"x"))
            peer = await websocket.peers.get()
            peer.writer.transport.abort()
            await client.close()
        return to_rest, to_websocket

    return go


@pytest.fixture
def authority():
    return trustme.CA()


def server_context(authority, *names):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    return context


def client_context(authority):
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


CREDENTIALS = "me:p%40ss"


@pytest.mark.parametrize("credentials", ["", f"{CREDENTIALS}@"])
@pytest.mark.parametrize("secure", [False, True])
async def test_an_http_proxy(both_stacks, authority, secure, credentials):
    rest, websocket = await both_stacks(
        http_proxy,
        lambda port: f"{credentials}127.0.0.1:{port}",
        secure=secure,
        ssl_context=client_context(authority),
        server_ssl=server_context(authority, "avatar.invalid") if secure else None,
    )
    port = 443 if secure else 80
    assert rest.asked == [
        f"CONNECT avatar.invalid:{port}" if secure else "POST http://avatar.invalid/start"
    ]
    assert websocket.asked == [f"CONNECT avatar.invalid:{port}"]
    assert rest.users == websocket.users == (["me:p@ss"] if credentials else [])


@pytest.mark.parametrize("credentials", ["", f"{CREDENTIALS}@"])
@pytest.mark.parametrize("scheme", ["socks", "socks5", "socks5h"])
async def test_a_socks_proxy(both_stacks, scheme, credentials):
    rest, websocket = await both_stacks(
        socks_proxy, lambda port: f"{scheme}://{credentials}127.0.0.1:{port}"
    )
    assert rest.asked == websocket.asked == ["avatar.invalid:80"]
    assert rest.users == websocket.users == (["me:p@ss"] if credentials else [])


async def test_a_proxy_behind_tls_is_trusted_as_the_platform_is(both_stacks, authority):
    rest, websocket = await both_stacks(
        lambda port: http_proxy(port, ssl=server_context(authority, "127.0.0.1")),
        lambda port: f"https://127.0.0.1:{port}",
        secure=True,
        ssl_context=client_context(authority),
        server_ssl=server_context(authority, "avatar.invalid"),
    )
    assert rest.asked == websocket.asked == ["CONNECT avatar.invalid:443"]


async def failures(url_end="avatar.invalid/live", **options):
    with pytest.raises(RestError) as rest:
        await post(f"http://{url_end}", **options)
    with pytest.raises(ConnectFailedError) as websocket:
        await connect(f"ws://{url_end}", open_timeout_s=5)
    for failed in (rest.value, websocket.value):
        assert PASSWORD not in told(failed)
    return rest.value, websocket.value


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 407 Authenticate\r\nContent-Length: 0\r\n\r\n", "with HTTP 407: it wants a"),
        (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n", "HTTP 502"),
    ],
)
async def test_a_proxy_that_refuses_is_told_as_such(answer, words, monkeypatch):
    async with raw_server(answer) as proxy:
        monkeypatch.setenv("ALL_PROXY", f"http://me:{PASSWORD}@127.0.0.1:{proxy.port}")
        with pytest.raises(RestError) as rest:
            await post("https://avatar.invalid/start")
        with pytest.raises(ConnectFailedError) as websocket:
            await connect("ws://avatar.invalid/live", open_timeout_s=5)
    for failed in (rest.value, websocket.value):
        assert words in str(failed)
        assert f"the proxy http://127.0.0.1:{proxy.port} (ALL_PROXY) refused the" in str(failed)
        assert failed.setting == "ALL_PROXY"
        assert PASSWORD not in told(failed)


async def test_a_password_that_a_proxy_wants_for_plain_http(monkeypatch):
    async with raw_server(b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n") as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"127.0.0.1:{proxy.port}")
        rest, _ = await failures()
    assert "(HTTP_PROXY) refused the connection with HTTP 407" in str(rest)


@pytest.mark.parametrize("scheme", ["http", "socks5"])
async def test_a_proxy_that_is_down_is_named(scheme, monkeypatch):
    monkeypatch.setenv("ALL_PROXY", f"{scheme}://me:{PASSWORD}@127.0.0.1:9")
    for failed in await failures():
        assert "through the proxy" in str(failed)
        assert "127.0.0.1:9 (ALL_PROXY)" in str(failed)
        assert failed.setting == "ALL_PROXY"


async def test_a_proxy_that_does_not_answer_is_named(monkeypatch):
    async with raw_server(b"") as proxy:
        monkeypatch.setenv("ALL_PROXY", f"127.0.0.1:{proxy.port}")
        async with shared_client() as client:
            with pytest.raises(RestError, match=r"no answer .*ALL_PROXY\) within 0\.1 s"):
                await post_json(client, "http://a.invalid/", {}, headers={"X": "1"}, timeout_s=0.1)
        with pytest.raises(ConnectFailedError, match=r"no answer within 0\.1 s, .*ALL_PROXY\)"):
            await connect("ws://a.invalid/", open_timeout_s=0.1)


# httpcore leaves the socket of a SOCKS proxy that refuses to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_socks_proxy_that_refuses_is_told_as_such(monkeypatch):
    async def refuse(_state, reader, writer):
        await reader.readexactly(3)
        writer.write(b"\x05\xff")
        await writer.drain()

    async with listening(refuse) as proxy:
        monkeypatch.setenv("ALL_PROXY", f"socks5://me:{PASSWORD}@127.0.0.1:{proxy.port}")
        for failed in await failures():
            assert "(ALL_PROXY)" in str(failed)
            assert failed.setting == "ALL_PROXY"
        gc.collect()


async def test_a_proxy_that_cannot_be_used_is_one_error_of_each_stack(monkeypatch):
    monkeypatch.setenv("ALL_PROXY", f"nonsense://me:{PASSWORD}@proxy")
    for failed in await failures():
        assert "ALL_PROXY is not a proxy" in str(failed)
        assert failed.setting == "ALL_PROXY"


# Several addresses


async def test_an_address_that_leads_nowhere_does_not_stop_the_others(monkeypatch):
    loop = asyncio.get_running_loop()
    sock_connect = loop.sock_connect
    tried = []

    async def getaddrinfo(_host, port, **_options):
        return [(2, 1, 6, "", (address, port)) for address in ("127.0.0.2", "127.0.0.1")]

    async def connect_to(sock, address):
        tried.append(address[0])
        if address[0] == "127.0.0.2":
            await asyncio.Event().wait()
        await sock_connect(sock, address)

    monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(loop, "sock_connect", connect_to)
    async with raw_server() as server:
        client = await connect(f"ws://avatar.invalid:{server.port}/", open_timeout_s=5)
        (await server.peers.get()).writer.transport.abort()
        await client.close()
    assert tried == ["127.0.0.2", "127.0.0.1"]
    tried.clear()
    async with raw_server(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1") as server:
        assert (await post(f"http://avatar.invalid:{server.port}/")).body == 1
    assert tried == ["127.0.0.2", "127.0.0.1"]


# Trust


def store(monkeypatch, authority, tmp_path):
    """Make an authority the system's only one."""
    path = tmp_path / "authorities.pem"
    authority.cert_pem.write_to_path(path)
    (tmp_path / "empty").mkdir(exist_ok=True)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "empty"))


async def test_rest_and_websocket_trust_the_same(monkeypatch, authority, tmp_path):
    context = server_context(authority, "127.0.0.1")
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1"
    async with raw_server(answer, ssl=context) as rest, raw_server(ssl=context) as websocket:
        url = f"https://127.0.0.1:{rest.port}/"
        with pytest.raises(RestError, match="unable to get local issuer") as untrusted:
            await post(url)
        assert untrusted.value.setting == "ssl_context"
        with pytest.raises(ConnectFailedError, match="unable to get local issuer") as untrusted:
            await connect(websocket.url("wss"), open_timeout_s=5)
        assert untrusted.value.setting == "ssl_context"
        store(monkeypatch, authority, tmp_path)
        assert (await post(url)).body == 1
        client = await connect(websocket.url("wss"), open_timeout_s=5)
        while True:
            peer = await websocket.peers.get()
            if peer.request:
                break
        peer.writer.transport.abort()
        await client.close()
    assert await trust() is await trust()


async def test_a_context_of_the_programs_own_asks_no_environment(monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere")
    context = ssl.create_default_context(cadata=trustme.CA().cert_pem.bytes().decode())
    assert await trust(context) is context


def nowhere(tmp_path):
    (tmp_path / "garbage.pem").write_text("no certificate\n")
    file, folder = str(tmp_path / "garbage.pem"), str(tmp_path)
    return [
        ("SSL_CERT_FILE", str(tmp_path / "nowhere.pem"), "no file of certificates"),
        ("SSL_CERT_FILE", folder, "no file of certificates"),
        ("SSL_CERT_FILE", file, "no file of certificates"),
        ("SSL_CERT_DIR", str(tmp_path / "nowhere"), "no folder"),
        ("SSL_CERT_DIR", file, "no folder"),
        ("SSLKEYLOGFILE", str(tmp_path / "nowhere" / "keys"), "cannot be written"),
    ]


async def test_variables_that_point_nowhere_are_one_clear_error(monkeypatch, tmp_path):
    for name, value, words in nowhere(tmp_path):
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            with pytest.raises(RestError) as rest:
                await post("https://127.0.0.1:1/")
            with pytest.raises(ConnectFailedError) as websocket:
                await connect("wss://127.0.0.1:1/", open_timeout_s=5)
            for failed in (rest.value, websocket.value):
                assert words in str(failed)
                assert value in str(failed)
                assert failed.setting == name
            # What needs no certificate looks at none.
            async with raw_server(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1") as server:
                assert (await post(f"http://127.0.0.1:{server.port}/")).body == 1


async def test_one_of_several_folders_is_enough(monkeypatch, tmp_path):
    monkeypatch.setenv("SSL_CERT_DIR", os.pathsep.join(["/nowhere", str(tmp_path)]))
    await trust()


async def test_nothing_is_loaded_for_plain_loopback(monkeypatch):
    monkeypatch.setattr(ssl, "create_default_context", None)
    monkeypatch.setattr(environment, "_contexts", {})
    async with raw_server(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1") as server:
        assert (await post(f"http://127.0.0.1:{server.port}/")).body == 1
    async with raw_server() as server:
        client = await connect(server.url(), open_timeout_s=5)
        (await server.peers.get()).writer.transport.abort()
        await client.close()
    assert environment._contexts == {}


async def test_certificates_are_loaded_once_and_off_the_loop(monkeypatch):
    threads = []
    create = ssl.create_default_context
    monkeypatch.setattr(environment, "_contexts", {})
    monkeypatch.setattr(
        ssl,
        "create_default_context",
        lambda: threads.append(threading.current_thread()) or create(),
    )
    contexts = await asyncio.gather(*(trust() for _ in range(20)))
    assert len(set(contexts)) == len(threads) == 1
    assert threads[0] is not threading.current_thread()


async def test_a_system_without_authorities_falls_back_on_certifis(monkeypatch, tmp_path):
    def empty():
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    paths = ssl.get_default_verify_paths()._replace(cafile=None, capath=str(tmp_path))
    monkeypatch.setattr(environment, "_contexts", {})
    monkeypatch.setattr(ssl, "create_default_context", empty)
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: paths)
    assert (await trust()).cert_store_stats()["x509_ca"] > 50
    # A folder of certificates is read as needed, and counts.
    (tmp_path / "0a1b2c3d.0").write_text("")
    monkeypatch.setattr(environment, "_contexts", {})
    assert (await trust()).cert_store_stats()["x509_ca"] == 0


@pytest.mark.parametrize("system", ["darwin", "win32"])
async def test_the_stores_of_macos_and_windows(system, monkeypatch, authority, tmp_path):
    truststore = pytest.importorskip("truststore")
    monkeypatch.setattr(environment, "_contexts", {})
    monkeypatch.setattr(environment.sys, "platform", system)
    context = await trust()
    assert isinstance(context, truststore.SSLContext)
    monkeypatch.undo()
    # On Linux it asks OpenSSL, and goes through both stacks as it does there.
    store(monkeypatch, authority, tmp_path)
    server = server_context(authority, "127.0.0.1")
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1"
    async with raw_server(answer, ssl=server) as rest, raw_server(ssl=server) as websocket:
        assert (await post(f"https://127.0.0.1:{rest.port}/", ssl_context=context)).body == 1
        client = await connect(websocket.url("wss"), open_timeout_s=5, ssl_context=context)
        (await websocket.peers.get()).writer.transport.abort()
        await client.close()


async def test_a_certificate_for_another_name_gets_other_advice(authority):
    context = client_context(authority)
    async with raw_server(b"", ssl=server_context(authority, "other.example")) as server:
        with pytest.raises(ConnectFailedError, match=r"not valid for '127\.0\.0\.1'") as failed:
            await connect(server.url("wss"), open_timeout_s=5, ssl_context=context)
    assert "SSL_CERT_FILE" not in str(failed.value)


def test_other_failures_are_no_matter_of_certificates():
    assert explain_tls(OSError("refused"), "h:443") is None


@pytest.mark.parametrize(
    ("credentials", "sent"),
    [
        ("me:p%40s%25s@", "me:p@s%s@"),
        ("me@", "me:@"),
        ("", ""),
        ("me:a%2Fb@", None),
        ("m%3Ae:a@", None),
    ],
)
def test_a_library_that_decodes_no_password_is_given_a_decoded_one(credentials, sent, monkeypatch):
    monkeypatch.setattr(opening, "_DECODES_CREDENTIALS", False)
    proxy = proxied({"ALL_PROXY": f"http://{credentials}proxy:1"})
    if sent is None:
        with pytest.raises(SettingError, match="websockets 17") as refused:
            opening._proxy_url(proxy)
        assert refused.value.setting == "ALL_PROXY"
    else:
        assert opening._proxy_url(proxy) == f"http://{sent}proxy:1"

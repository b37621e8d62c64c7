from base64 import b64encode

import pytest

from api_pipeline.errors import SettingsError
from api_pipeline.transport.proxy import check_proxy, proxy_for, proxy_headers
from api_pipeline.transport.session import TransportOptions, make_session

PROXY = "http://proxy.example:8080"
URL = "https://receiver.example/1"


@pytest.fixture(autouse=True)
def _no_proxies_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST", "127.8.9.1", "[::1]"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_this_machine_is_always_reached_directly(host: str, scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", PROXY)
    monkeypatch.setenv("ALL_PROXY", PROXY)
    for setting in (PROXY, None):
        assert proxy_for(setting, f"{scheme}://{host}:8443/1") is None


@pytest.mark.parametrize(
    "exempt", ["receiver.example", ".example", "*.example", "elsewhere.example, *", "receiver.example:443"]
)
def test_no_proxy_names_hosts_that_no_proxy_is_used_for(exempt: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    monkeypatch.setenv("NO_PROXY", exempt)
    for setting in (PROXY, None):
        assert proxy_for(setting, URL) is None


@pytest.mark.parametrize("exempt", ["ver.example", "receiver.example:8443", "10.0.0.0/8", ""])
def test_no_proxy_for_another_host_changes_nothing(exempt: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    monkeypatch.setenv("NO_PROXY", exempt)
    for setting in (PROXY, None):
        assert proxy_for(setting, URL) == PROXY


@pytest.mark.parametrize(
    ("proxy", "words"),
    [
        ("socks5h://127.0.0.1:1080", "SOCKS"),
        ("socks4://inside.example:1080", "SOCKS"),
        ("http://user:wo#rd77@proxy.example:8080", "%23"),
        ("http://user:wo?rd77@proxy.example:8080", "%3F"),
        ("http://proxy.example:http", "port"),
        ("http://proxy.example:99999", "port"),
        ("http://user:wo/rd77@proxy.example:8080", "port"),
        ("http://proxy example:8080", "host"),
        ("http://:8080", "host"),
        ("ftp://proxy.example:21", "neither"),
        ("http://wpad.example/proxy.pac", "PAC"),
    ],
)
def test_proxy_that_cannot_be_used_is_named_without_its_password(
    proxy: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    with pytest.raises(SettingsError, match=words) as told:
        check_proxy(None, URL)
    assert str(told.value).startswith("HTTPS_PROXY")
    with pytest.raises(SettingsError, match=r"^PROXY_URL: expected"):
        check_proxy(proxy, URL)
    assert "rd77" not in str(told.value)


@pytest.mark.parametrize("proxy", [PROXY, "proxy.example:8080", "https://user:p%40ss@proxy.example/", None])
def test_proxy_that_can_be_used_passes(proxy: str | None) -> None:
    check_proxy(proxy, URL)


def test_plain_http_is_never_asked_through_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match="plain http"):
        check_proxy(PROXY, "http://receiver.example/1")
    monkeypatch.setenv("HTTP_PROXY", PROXY)
    with make_session(TransportOptions()) as live, pytest.raises(SettingsError, match="nothing was sent"):
        live.post("http://receiver.example/1", data=b"[]")


def test_proxy_of_a_server_is_found_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    with make_session(TransportOptions()) as live:
        assert live.proxies_to(URL) == {"https": PROXY}
        monkeypatch.delenv("HTTPS_PROXY")
        assert live.proxies_to(f"{URL}/further") == {"https": PROXY}
        assert live.proxies_to("https://other.example/1") == {}


@pytest.mark.parametrize(
    ("login", "sent"),
    [
        ("", None),
        ("council:p%40ss", b"council:p@ss"),
        ("council:p%C3%A9", b"council:p\xe9"),
        ("council:%C5%81", "council:\u0141".encode()),
    ],
)
def test_login_of_a_proxy_is_sent_in_latin_1_where_it_can_be(login: str, sent: bytes | None) -> None:
    headers = proxy_headers(f"http://{login}{'@' if login else ''}proxy.example:8080")

    assert headers == ({} if sent is None else {"Proxy-Authorization": f"Basic {b64encode(sent).decode()}"})

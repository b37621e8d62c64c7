"""Ways through a real proxy (squid): with a password, as a Windows account, around it; and one that inspects."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest

from api_pipeline import __version__
from api_pipeline.sandbox.simulator import SimulatorServer
from tests.support.databases import TestDatabase
from tests.support.diagnosing import Found, diagnose
from tests.support.ports import HERE, closed_port
from tests.support.squid import (
    BEHIND,
    PASSWORD,
    USER,
    Squid,
    forbidding_proxy,
    inspecting_proxy,
    open_proxy,
    proxy_for_windows_accounts,
    proxy_with_password,
    secured_proxy,
)
from tests.support.tls import Authority, authority, raw_server, secured_server, silent_server
from tests.support.world import World, live_settings

pytestmark = pytest.mark.slow


@pytest.fixture
def server(council: Authority) -> Iterator[SimulatorServer]:
    with secured_server(council.issue("127.0.0.1", "localhost", BEHIND)) as server:
        yield server


@pytest.fixture(scope="module")
def guarded() -> Iterator[Squid]:
    """Yield a proxy that wants a password."""
    with proxy_with_password() as proxy:
        yield proxy


def walk(server: SimulatorServer, council: Authority, folder: Path, **settings: str) -> Found:
    trusting = {"CA_BUNDLE": str(council.pem)}
    return diagnose("test-endpoint", {**live_settings(server), **behind(server), **trusting, **settings}, folder)


def behind(server: SimulatorServer) -> dict[str, str]:
    """Return the addresses of a receiver that only a proxy finds; this machine is never asked through one."""
    api, token = urlsplit(server.base_url), urlsplit(server.token_url)
    return {
        "API_ENDPOINT": api._replace(netloc=f"{BEHIND}:{server.port}").geturl(),
        "TOKEN_ENDPOINT": token._replace(netloc=f"{BEHIND}:{server.port}").geturl(),
    }


def with_login(proxy: Squid, user: str = USER, password: str = PASSWORD) -> str:
    return proxy.url.replace("://", f"://{quote(user, safe='')}:{quote(password, safe='')}@")


def place(server: SimulatorServer, host: str = BEHIND) -> str:
    return f"{host}:{server.port}"


def test_proxy_that_gets_no_password_is_reported(
    guarded: Squid, server: SimulatorServer, council: Authority, tmp_path: Path
) -> None:
    found = walk(server, council, tmp_path, PROXY_URL=guarded.url)

    assert (found.code, found.failed) == (5, "proxy")
    assert found.sentence == f"The proxy 127.0.0.1:{guarded.port} requires a login (HTTP 407) and none was given."
    assert found.advice.startswith(
        "put user and password into PROXY_URL, in front of the proxy's name as user:password@ (special signs as %XX), "
        "or, where the proxy takes Windows accounts, set PROXY_AUTH=integrated"
    )
    assert f"TCP_DENIED/407 CONNECT {place(server)}" in guarded.requests()


def test_wrong_password_for_the_proxy_is_reported(
    guarded: Squid, server: SimulatorServer, council: Authority, tmp_path: Path
) -> None:
    found = walk(server, council, tmp_path, PROXY_URL=with_login(guarded, password="wrong"))

    assert (found.code, found.failed) == (5, "proxy")
    assert found.sentence == (
        f"The proxy 127.0.0.1:{guarded.port} requires a login (HTTP 407) and did not accept the one in its URL."
    )


def test_proxy_that_gets_the_right_password_lets_all_steps_pass(
    guarded: Squid, server: SimulatorServer, council: Authority, tmp_path: Path
) -> None:
    found = walk(server, council, tmp_path, PROXY_URL=with_login(guarded))

    assert found.code == 0
    assert found.steps["proxy"]["detail"] == (
        f"http://***@127.0.0.1:{guarded.port} opens the way to {BEHIND}:{server.port}"
    )
    assert guarded.tunnelled(place(server)) > 0


@pytest.mark.parametrize("scheme", ["https", "http"])
def test_receiver_on_this_machine_is_never_asked_through_a_proxy(
    scheme: str, guarded: Squid, server: SimulatorServer, council: Authority, tmp_path: Path
) -> None:
    before = guarded.requests()
    with SimulatorServer() as plain:
        for name in ("127.0.0.1", "localhost"):
            addresses = live_settings(server if scheme == "https" else plain)
            own = {key: value.replace("127.0.0.1", name) for key, value in addresses.items() if "ENDPOINT" in key}
            found = walk(server, council, tmp_path, PROXY_URL=guarded.url, HTTP_PROXY=guarded.url, **own)

            assert found.code == 0, found
            assert found.steps["proxy"]["detail"] == f"none is used for {name}"
    assert guarded.requests() == before


def test_no_proxy_for_another_host_changes_nothing(
    guarded: Squid, server: SimulatorServer, council: Authority, tmp_path: Path
) -> None:
    exempt = f"27.0.0.1, 10.0.0.0/8, 127.0.0.1:{closed_port()}"

    assert walk(server, council, tmp_path, PROXY_URL=guarded.url, NO_PROXY=exempt).failed == "proxy"


def test_proxy_of_the_system_is_used_and_knows_names_that_we_do_not(
    server: SimulatorServer, council: Authority, tmp_path: Path
) -> None:
    with open_proxy(hosts={BEHIND: "127.0.0.1"}) as proxy:
        behind = f"https://{place(server, BEHIND)}"
        found = walk(
            server,
            council,
            tmp_path,
            HTTPS_PROXY=proxy.url,
            API_ENDPOINT=f"{behind}/1",
            TOKEN_ENDPOINT=f"{behind}/token",
        )
        assert found.code == 0, found
        assert proxy.tunnelled(place(server, BEHIND)) > 0

    assert found.steps["DNS"]["detail"] == "127.0.0.1 is 127.0.0.1"
    assert found.steps["TCP"]["detail"] == f"connected to the proxy 127.0.0.1:{proxy.port}"


def test_name_that_the_proxy_does_not_know_is_reported(
    server: SimulatorServer, council: Authority, tmp_path: Path
) -> None:
    with open_proxy() as proxy:
        found = walk(server, council, tmp_path, PROXY_URL=proxy.url, API_ENDPOINT=f"https://{BEHIND}/1")

    assert (found.code, found.failed) == (5, "proxy")
    assert found.sentence.startswith(f"The proxy 127.0.0.1:{proxy.port} could not reach {BEHIND} itself (HTTP 50")


def test_destination_that_the_proxy_forbids_is_reported(
    server: SimulatorServer, council: Authority, tmp_path: Path
) -> None:
    with forbidding_proxy() as proxy:
        found = walk(server, council, tmp_path, PROXY_URL=proxy.url)

    assert (found.code, found.failed) == (5, "proxy")
    assert found.sentence == f"The proxy 127.0.0.1:{proxy.port} forbids the way to {BEHIND} (HTTP 403)."
    assert found.advice == (
        f"ask the council's network team to allow {BEHIND}, port {server.port}, for this server and account."
    )


def test_missing_proxy_is_reported(server: SimulatorServer, council: Authority, tmp_path: Path) -> None:
    port = closed_port()
    found = walk(server, council, tmp_path, PROXY_URL=f"http://127.0.0.1:{port}")

    assert (found.code, found.failed) == (5, "TCP")
    assert found.sentence == f"The connection to the proxy 127.0.0.1:{port} was refused."


def test_proxy_that_never_answers_is_reported(server: SimulatorServer, council: Authority, tmp_path: Path) -> None:
    with silent_server() as port:
        found = walk(server, council, tmp_path, PROXY_URL=f"http://127.0.0.1:{port}", CONNECT_TIMEOUT_S="0.3")

    assert (found.code, found.failed) == (5, "proxy")
    assert found.sentence == f"The proxy 127.0.0.1:{port} opened no way to {BEHIND} within 0.3 s."


def test_proxy_whose_answer_drips_is_waited_for_no_longer(
    server: SimulatorServer, council: Authority, tmp_path: Path
) -> None:
    began = time.monotonic()
    with raw_server(greeting=b"HTTP/1.1 200 Fine\r\nX-More: " + b"y" * 200, gap_s=0.1) as port:
        found = walk(server, council, tmp_path, PROXY_URL=f"http://127.0.0.1:{port}", CONNECT_TIMEOUT_S="0.3")

    assert found.sentence == f"The proxy 127.0.0.1:{port} opened no way to {BEHIND} within 0.3 s."
    assert time.monotonic() - began < 10


def test_server_that_is_no_proxy_is_reported(server: SimulatorServer, council: Authority, tmp_path: Path) -> None:
    with raw_server(greeting=b"220 mail.example ESMTP\r\n") as port:
        found = walk(server, council, tmp_path, PROXY_URL=f"http://127.0.0.1:{port}")

    assert (found.code, found.failed) == (5, "proxy")
    assert found.sentence == f"The proxy 127.0.0.1:{port} did not open a way to {BEHIND}."


def test_interim_answer_of_a_proxy_is_passed_over(server: SimulatorServer, council: Authority, tmp_path: Path) -> None:
    with raw_server(greeting=b"HTTP/1.1 103 Early Hints\r\nX-More: y\r\n\r\nHTTP/1.1 200 Fine\r\n\r\n") as port:
        found = walk(server, council, tmp_path, PROXY_URL=f"http://127.0.0.1:{port}")

    assert found.steps["proxy"]["detail"] == f"http://127.0.0.1:{port} opens the way to {BEHIND}:{server.port}"


@pytest.mark.parametrize("keeps_alive", [True, False])
def test_windows_account_logs_in_to_the_proxy(
    keeps_alive: bool, server: SimulatorServer, council: Authority, tmp_path: Path
) -> None:
    # On Windows the account's own login is used; elsewhere this file stands in for it.
    (tmp_path / "account").write_text("COUNCIL:svc-csc-api:a-password\n", encoding="ascii")
    settings = {"PROXY_AUTH": "integrated", "NTLM_USER_FILE": str(tmp_path / "account")}
    with proxy_for_windows_accounts(keeps_alive=keeps_alive) as proxy:
        found = walk(server, council, tmp_path, PROXY_URL=proxy.url, **settings)
        assert found.code == 0, found
        assert proxy.tunnelled(place(server)) > 0


@pytest.mark.skipif(sys.platform == "win32", reason="on Windows every account has a login of its own")
def test_account_that_the_proxy_rejects_is_reported(
    server: SimulatorServer, council: Authority, tmp_path: Path
) -> None:
    with proxy_for_windows_accounts() as proxy:
        found = walk(server, council, tmp_path, PROXY_URL=proxy.url, PROXY_AUTH="integrated")

    assert (found.code, found.failed) == (5, "proxy")
    assert found.sentence == (
        f"The proxy 127.0.0.1:{proxy.port} requires a login (HTTP 407) and did not accept the account that runs this "
        "program."
    )
    assert "ask the council's network team whether this account may use the proxy" in found.advice


def test_proxy_that_takes_passwords_only_takes_no_windows_account(
    guarded: Squid, server: SimulatorServer, council: Authority, tmp_path: Path
) -> None:
    found = walk(server, council, tmp_path, PROXY_URL=guarded.url, PROXY_AUTH="integrated")

    assert (found.code, found.failed) == (5, "proxy")
    assert "did not accept the account that runs this program" in found.sentence


def test_proxy_without_integrated_login_lets_an_integrated_account_through(
    server: SimulatorServer, council: Authority, tmp_path: Path
) -> None:
    with open_proxy({BEHIND: HERE}) as proxy:
        assert walk(server, council, tmp_path, PROXY_URL=proxy.url, PROXY_AUTH="integrated").code == 0


def test_integrated_login_without_its_package_says_what_to_install(
    server: SimulatorServer, council: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What an import meets where the extra was left out of the installation.
    monkeypatch.setitem(sys.modules, "spnego", None)
    found = walk(server, council, tmp_path, PROXY_AUTH="integrated")

    assert (found.code, found.failed) == (2, "settings")
    assert f'pip install "csc_api_pipeline-{__version__}-py3-none-any.whl[ntlm]"' in found.sentence
    assert "set PROXY_AUTH=basic" in found.sentence


def test_inspecting_proxy_is_recognised_and_works_once_trusted(tmp_path: Path, council: Authority) -> None:
    inspector = authority(tmp_path, "Zscaler Inc.")
    files = council.issue("localhost", BEHIND)
    with secured_server(files) as server, inspecting_proxy(inspector, trusted=council.pem) as proxy:
        url = f"https://{place(server)}"
        settings = {"PROXY_URL": proxy.url, "API_ENDPOINT": f"{url}/1", "TOKEN_ENDPOINT": f"{url}/token"}
        refused = walk(server, council, tmp_path, **settings)
        trusted = walk(server, inspector, tmp_path, **settings)

    assert (refused.code, refused.failed) == (5, "TLS")
    assert f"It shows a certificate of CN={BEHIND}; issued by O=Zscaler Inc., OU=Issuing" in refused.sentence
    assert "The issuer is a TLS-inspecting proxy: it opens the connection on the way." in refused.sentence
    assert trusted.code == 0, trusted
    assert trusted.steps["TLS"]["status"] == "remark"
    assert "the proxy opens what is sent" in trusted.steps["TLS"]["advice"]


def test_https_proxy_is_tested_by_the_token_request(
    server: SimulatorServer, council: Authority, tmp_path: Path
) -> None:
    with secured_proxy(council.issue()) as proxy:
        found = walk(server, council, tmp_path, PROXY_URL=proxy.url.replace("http:", "https:"))
        assert found.code == 0, found
        assert proxy.tunnelled(place(server)) > 0

    assert found.steps["proxy"]["status"] == found.steps["TLS"]["status"] == "skipped"
    assert found.steps["TLS"]["detail"] == "TLS to the proxy itself: the token step goes through it"


def test_https_proxy_certificate_is_verified(server: SimulatorServer, council: Authority, tmp_path: Path) -> None:
    other = authority(tmp_path, "Another Council")
    with secured_proxy(other.issue()) as proxy:
        found = walk(server, council, tmp_path, PROXY_URL=proxy.url.replace("http:", "https:"))

    assert (found.code, found.failed) == (5, "token")


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_run_goes_through_the_proxy_as_the_test_did(
    deployed: TestDatabase, guarded: Squid, server: SimulatorServer, council: Authority, tmp_path: Path
) -> None:
    world = World(deployed, server, tmp_path, {"CA_BUNDLE": str(council.pem), **behind(server)})
    persons = world.stage(3)

    refused = world.run(PROXY_URL=guarded.url)
    assert refused.code == 5, refused.text
    assert "(the proxy requires a login, HTTP 407; check PROXY_URL and PROXY_AUTH)" in refused.err
    world.check(dict.fromkeys(persons, "untouched"))

    done = world.run(PROXY_URL=with_login(guarded))
    assert done.code == 0, done.text
    world.check(dict.fromkeys(persons, "sent"))
    assert guarded.tunnelled(place(server)) > 0

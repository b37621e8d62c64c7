"""One request over a real connection: what goes out, and what comes back."""

from __future__ import annotations

import gzip
import logging
import zlib
from dataclasses import replace
from pathlib import Path

import pytest
import requests

from api_pipeline.transport.connection import IN_FORCE
from api_pipeline.transport.session import TransportOptions, make_session
from api_pipeline.transport.single_request import Transient, ask
from tests.support.hostile_receiver import HostileReceiver, Reply
from tests.support.scripted import hangs_up, says
from tests.unit.transport.asking import REACH, SECRET, a_failure, an_answer, asking


def test_answer_comes_with_status_headers_and_body(server: HostileReceiver, session: requests.Session) -> None:
    asked = asking(server, says(418, b"short and stout", "X-Pot: a\r\nX-Pot: b\r\n"))
    answer = an_answer(ask(session, REACH, asked))
    assert (answer.status, answer.body, answer.size, answer.file) == (418, b"short and stout", 15, None)
    assert answer.headers["x-pot"] == "a, b"
    assert IN_FORCE.get() is None


def test_body_headers_and_user_agent_go_out_as_given(server: HostileReceiver, session: requests.Session) -> None:
    asked = replace(asking(server, says(200)), method="POST", headers={"X-Key": "k"}, body=b"\x00\xffabc")
    ask(session, REACH, asked)
    (heard,) = server.heard
    assert heard.body == b"\x00\xffabc"
    assert {name: heard.headers[name] for name in ("x-key", "user-agent", "accept", "accept-encoding")} == {
        "x-key": "k",
        "user-agent": "csc/1.0",
        "accept": "application/json",
        "accept-encoding": "gzip, deflate",
    }


def test_login_of_a_netrc_file_never_goes_out(
    server: HostileReceiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login someone password hunter2\n", encoding="utf-8")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    asked = asking(server, says(200))
    with make_session(TransportOptions()) as own:
        # requests itself would send it: the file is one that it reads.
        assert requests.utils.get_netrc_auth(asked.url) == ("someone", "hunter2")
        ask(own, REACH, asked)
    assert "authorization" not in server.heard[0].headers


def packed(text: bytes) -> bytes:
    # A packed text begins with the time, and tests that are named by it have another name in each process.
    return gzip.compress(text, mtime=0)


@pytest.mark.parametrize(
    ("body", "encodings"),
    [
        (packed(b"receipt"), ["gzip"]),
        (packed(b"rec") + packed(b"eipt"), ["GZIP"]),
        (packed(b"receipt") + b"\0" * 20, ["x-gzip"]),
        (packed(b"receipt"), ["gzip", "identity"]),
        (zlib.compress(b"receipt"), ["deflate"]),
        (b"receipt", [""]),
        (b"receipt", ["none"]),
        (b"receipt", ["UTF-8"]),
    ],
)
def test_packed_body_is_unpacked(
    server: HostileReceiver, session: requests.Session, body: bytes, encodings: list[str]
) -> None:
    head = "".join(f"Content-Encoding: {one}\r\n" for one in encodings)
    assert an_answer(ask(session, REACH, asking(server, says(200, body, head)))).body == b"receipt"


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (packed(packed(b"receipt")), "gzip, gzip"),
        (b"receipt", "br"),
        (b"receipt", "gzip"),
        (packed(b"receipt")[:-9], "gzip"),
        (packed(b"receipt") + b"\0\1", "gzip"),
    ],
)
def test_body_that_cannot_be_unpacked_is_no_answer(
    server: HostileReceiver, session: requests.Session, body: bytes, encoding: str
) -> None:
    asked = asking(server, says(200, body, f"Content-Encoding: {encoding}\r\n"))
    assert "compress" in a_failure(ask(session, REACH, asked)).reason


def test_length_of_what_a_gateway_packed_is_not_that_of_the_chunks(
    server: HostileReceiver, session: requests.Session, caplog: pytest.LogCaptureFixture
) -> None:
    plain = b"receipt " * 100
    packed = gzip.compress(plain)
    head = f"Content-Encoding: gzip\r\nContent-Length: {len(plain)}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(packed), packed)
    asked = asking(server, lambda talk: talk.send(b"HTTP/1.1 200 Fine\r\n" + head + chunks))
    assert an_answer(ask(session, REACH, asked)).body == plain
    asked = asking(server, lambda talk: talk.send(b"HTTP/1.1 200 Fine\r\n" + head + chunks[:-5]))
    assert "the connection was lost" in a_failure(ask(session, REACH, asked)).reason
    assert caplog.records == [], "an operator can do nothing about it, and each answer would say it"


@pytest.mark.parametrize(
    "head",
    [
        b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\nContent-Length: 7\r\n",
        b"Content-Length: 5\r\nTransfer-Encoding: Identity, Chunked\r\n",
        b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: \r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n",
    ],
)
def test_answer_whose_last_transfer_coding_is_chunked_is_read_in_chunks(
    server: HostileReceiver, session: requests.Session, head: bytes
) -> None:
    chunks = b"7\r\nreceipt\r\n0\r\n\r\n"
    asked = asking(server, lambda talk: talk.send(b"HTTP/1.1 200 Fine\r\n" + head + b"\r\n" + chunks))
    assert an_answer(ask(session, REACH, asked)).body == b"receipt"
    asked = asking(server, lambda talk: talk.send(b"HTTP/1.1 200 Fine\r\n" + head + b"\r\n" + chunks[:-5]))
    assert "the connection was lost" in a_failure(ask(session, REACH, asked)).reason


@pytest.mark.parametrize("length", ["9" * 5000, "9" * 30])
def test_length_of_thousands_of_digits_is_never_reached(
    server: HostileReceiver, session: requests.Session, length: str
) -> None:
    answer = f"HTTP/1.1 200 Fine\r\nContent-Length: {length}\r\n\r\nreceipt".encode()
    got = ask(session, REACH, asking(server, lambda talk: talk.send(answer)))
    assert "the connection was lost" in a_failure(got).reason


def test_length_may_begin_with_thousands_of_zeros(server: HostileReceiver, session: requests.Session) -> None:
    answer = b"HTTP/1.1 200 Fine\r\nContent-Length: " + b"0" * 5000 + b"7\r\n\r\nreceipt"
    assert an_answer(ask(session, REACH, asking(server, lambda talk: talk.send(answer)))).body == b"receipt"


@pytest.mark.parametrize(("times", "is_read"), [(1, True), (32, True), (33, False)])
def test_interim_answers_are_passed_over_up_to_a_bound(
    server: HostileReceiver, session: requests.Session, times: int, is_read: bool
) -> None:
    answer = b"HTTP/1.1 103 Early Hints\r\n\r\n" * times + b"HTTP/1.1 200 Fine\r\nContent-Length: 0\r\n\r\n"
    got = ask(session, REACH, asking(server, lambda talk: talk.send(answer)))
    assert isinstance(got, Transient) is not is_read


def test_redirect_is_an_answer_and_is_not_followed(server: HostileReceiver, session: requests.Session) -> None:
    asked = asking(server, says(302, b"", "Location: /elsewhere\r\n"))
    assert an_answer(ask(session, REACH, asked)).status == 302
    assert len(server.heard) == 1


def test_cookie_is_not_sent_back(server: HostileReceiver, session: requests.Session) -> None:
    asked = asking(server, says(200, b"", "Set-Cookie: session=1; Path=/\r\n"))
    for _ in range(2):
        ask(session, REACH, asked)
    assert "cookie" not in server.heard[1].headers


def test_body_beyond_its_bound_is_no_answer(server: HostileReceiver, session: requests.Session) -> None:
    asked = asking(server, says(200, b"x" * 1001))
    assert an_answer(ask(session, REACH, replace(asked, max_bytes=1001))).size == 1001
    assert ask(session, REACH, replace(asked, max_bytes=1000)) == Transient(
        200, "HTTP 200: the answer is larger than 1,000 bytes", None, may_have_arrived=True
    )


def test_large_body_comes_as_a_file_that_can_be_removed(server: HostileReceiver, session: requests.Session) -> None:
    asked = asking(server, says(200, b"x" * 1001))
    assert an_answer(ask(session, REACH, replace(asked, file_from_bytes=1001))).file is None
    answer = an_answer(ask(session, REACH, replace(asked, file_from_bytes=1000)))
    assert answer.file is not None
    assert (answer.body, answer.size, answer.file.read_bytes()) == (b"", 1001, b"x" * 1001)
    answer.remove_file()
    assert not answer.file.exists()
    answer.remove_file()


@pytest.mark.parametrize("reply", [says(200), hangs_up], ids=["answered", "lost"])
def test_log_and_reason_name_the_request_and_never_its_address(
    server: HostileReceiver, session: requests.Session, reply: Reply, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="api_pipeline")
    asked = asking(server, reply)
    got = ask(session, REACH, asked)
    assert caplog.text.count("page: ") == 1
    assert SECRET not in caplog.text + repr(got)

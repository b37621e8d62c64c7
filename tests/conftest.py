"""Fixtures for all tests: a database of its own for each, on every kind that is to be had here."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from api_pipeline.sandbox.simulator import SimulatorServer
from tests.support import databases
from tests.support.databases import TestDatabase, missing
from tests.support.effort import IS_FAST, IS_LONG, examples
from tests.support.postgres import PostgresServer, ServerMissing, running_server
from tests.support.prepared import Made
from tests.support.strict import strict_database
from tests.support.world import World

_SERVER = pytest.StashKey[PostgresServer | str]()
# SQLite through ODBC is one kind more in `scripts/test --long`: what drivers do is seen with PostgreSQL's in any suite,
# and on the strict database, which is SQLite through ODBC; tests of a driver's own habits name their kinds.
_KINDS = ["sqlite", *(["sqlite-odbc"] if IS_LONG else []), "postgresql-odbc", *databases.EXTERNAL_KIND]
# The strict database (`tests.support.strict`) is one kind more for the tests that are marked so; with STRICT_DATABASE=1
# for every test that uses the fixtures `database` or `world`, which takes minutes.
_STRICT = "strict"
_IS_STRICT_FOR_ALL = os.environ.get("STRICT_DATABASE") == "1"
# What a test is tried on that need not be tried on every kind: the embedded database, and one that is a server.
_BOTH = {"sqlite", "postgresql-odbc"}
# Laws, and tests of texts of SQL: hundreds of examples reach few branches, and a tracer makes them twice as long.
_UNMEASURED = ("hypothesis", "unmeasured")

# A busy machine may stop for longer than an example is given; what fails is printed so that it can be had again.
settings.register_profile(
    "slow machine",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=True,
    max_examples=examples(40, 300),
)
settings.load_profile("slow machine")
# `scripts/test --fast`: few examples of each law, and no database but the embedded one.
settings.register_profile("fast", settings.get_profile("slow machine"), max_examples=10)
if IS_FAST:
    settings.load_profile("fast")
# Under what a worker of xdist finds the server that the controlling process started for all of them.
_SHARED_SERVER = "postgres_server"
_RUNNING = ExitStack()
# Where Linux has files in memory, and how much the folders of the tests may take there.
_MEMORY = Path("/dev/shm")
_ROOM_BYTES = 4 * 1024**3


def _keep_folders_in_memory() -> None:
    """Let pytest make the folders of tests in memory, where there is room: each commit of SQLite waits for a disk."""
    if sys.platform == "linux" and _MEMORY.is_dir() and os.access(_MEMORY, os.W_OK):
        found = os.statvfs(_MEMORY)
        if found.f_bavail * found.f_frsize > _ROOM_BYTES and not found.f_flag & os.ST_NOEXEC:
            os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(_MEMORY))


_keep_folders_in_memory()


def pytest_configure() -> None:
    """Heed the signals that `nohup` or a shell's `&` switched off: programs that a test starts would inherit it."""
    for name in ("SIGINT", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if name == "SIGINT" else signal.SIG_DFL)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config: pytest.Config) -> None:
    """Start one PostgreSQL server for all workers: a server for each costs seconds and memory."""
    if not IS_FAST:
        config.stash[_SERVER] = _server_or_reason(_RUNNING)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker where the server is, or why there is none."""
    found = node.config.stash.get(_SERVER, None)
    if found is not None:
        node.workerinput[_SHARED_SERVER] = found if isinstance(found, str) else [found.port, found.user, found.password]


def pytest_unconfigure() -> None:
    """Stop the server that the controlling process started."""
    _RUNNING.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Measure no coverage while a law is tried, or what is marked so: it costs most there and finds next to nothing."""
    tracer = sys.gettrace() if any(item.get_closest_marker(name) for name in _UNMEASURED) else None
    # A debugger traces as well, and must stop in a law.
    if tracer is None or not type(tracer).__module__.startswith("coverage"):
        return (yield)
    sys.settrace(None)
    try:
        return (yield)
    finally:
        sys.settrace(tracer)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look for no garbage while tests are collected, which nothing but grows: that was a third of what it costs."""
    gc.disable()
    try:
        return (yield)
    finally:
        # What is collected stays to the end, and is not to be looked through again and again.
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out, in the fast suite, what is slow or needs another database than the embedded one, or a browser."""
    if not IS_FAST:
        return
    slow = {item for item in items if item.get_closest_marker("slow") or _needs_a_server(item)}
    config.hook.pytest_deselected(items=list(slow))
    items[:] = [item for item in items if item not in slow]


def _needs_a_server(item: pytest.Item) -> bool:
    kind = getattr(getattr(item, "callspec", None), "params", {}).get("database", "sqlite")
    return kind != "sqlite" or not {"postgres_or_reason", "browser"}.isdisjoint(getattr(item, "fixturenames", ()))


def _server_or_reason(stack: ExitStack) -> PostgresServer | str:
    try:
        return stack.enter_context(running_server())
    except ServerMissing as reason:
        return str(reason)


@pytest.hookimpl(tryfirst=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Try a test that holds for an embedded database and for a server on the external database as well."""
    for mark in metafunc.definition.iter_markers("parametrize"):
        if mark.kwargs.get("indirect") and mark.args[0] == "database" and set(mark.args[1]) >= _BOTH:
            mark.args[1].extend(kind for kind in databases.EXTERNAL_KIND if kind not in mark.args[1])
    if IS_FAST or not (_IS_STRICT_FOR_ALL or metafunc.definition.get_closest_marker(_STRICT)):
        return
    for name, kinds in (("database", _KINDS), ("world", ["sqlite", *databases.EXTERNAL_KIND])):
        is_beside = any(name in mark.args[0] for mark in metafunc.definition.iter_markers("parametrize"))
        # A world that a module makes of its own database has that one's kinds.
        is_ours = name == "database" or (
            "faults" in metafunc.definition.path.parts and "database" not in metafunc.fixturenames
        )
        if name in metafunc.fixturenames and is_ours and not is_beside:
            metafunc.definition.add_marker(pytest.mark.parametrize(name, [*kinds, _STRICT], indirect=True))
        own = metafunc.definition.own_markers
        own[:] = [_with_strict(mark) if mark.name == "parametrize" and mark.args[0] == name else mark for mark in own]


def _with_strict(mark: pytest.Mark) -> pytest.Mark:
    """Return the kinds that a test names, and the strict one where the embedded database and a server are among them.

    The list itself stays as it is: tests that are not marked may share it.
    """
    names, kinds, *rest = mark.args
    if not mark.kwargs.get("indirect") or not set(kinds) >= _BOTH or _STRICT in kinds:
        return mark
    return pytest.mark.parametrize(names, [*kinds, _STRICT], *rest, **mark.kwargs).mark


@pytest.fixture(scope="session")
def postgres_or_reason(request: pytest.FixtureRequest) -> Iterator[PostgresServer | str]:
    """Yield the PostgreSQL server of all tests, or why there is none."""
    shared = getattr(request.config, "workerinput", {}).get(_SHARED_SERVER)
    if shared is None:
        with ExitStack() as stack:
            yield _server_or_reason(stack)
    elif isinstance(shared, str):
        yield shared
    else:
        port, user, password = shared
        yield PostgresServer(port, user, password)


@pytest.fixture
def postgres_server(postgres_or_reason: PostgresServer | str) -> PostgresServer:
    """Return the PostgreSQL server; where there is none, the test is skipped with the reason."""
    if isinstance(postgres_or_reason, str):
        missing(postgres_or_reason)
    return postgres_or_reason


@pytest.fixture(params=_KINDS)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[TestDatabase]:
    """Yield an empty database of each kind. A test for some kinds names them: `parametrize(..., indirect=True)`.

    Where a test asks for tables as well (`deployed`, `ssd`), the database may have them already.
    """
    made = Made.NOTHING
    if "deployed" in request.fixturenames:
        made = Made.SSD if "ssd" in request.fixturenames else Made.DEPLOYED
    with ExitStack() as stack:
        match request.param:
            case "sqlite":
                yield stack.enter_context(databases.sqlite_database(tmp_path, made))
            case "sqlite-odbc":
                yield stack.enter_context(databases.sqlite_odbc_database(tmp_path))
            case "strict":
                yield stack.enter_context(strict_database(tmp_path))
            case "postgresql-odbc":
                server = request.getfixturevalue("postgres_server")
                yield stack.enter_context(databases.postgresql_database(server, made))
            case _:
                yield stack.enter_context(databases.external_database(os.environ[databases.EXTERNAL]))


@pytest.fixture
def deployed(database: TestDatabase) -> TestDatabase:
    """Return a database of each kind with the staging table and its control tables, as the script makes them; no row in
    the live table, the sample rows in its anonymised copy."""
    return database.deploy() if database.made is Made.NOTHING else database


@pytest.fixture
def server() -> Iterator[SimulatorServer]:
    """Yield the embedded receiver, over real HTTP."""
    with SimulatorServer() as running:
        yield running


@pytest.fixture
def world(deployed: TestDatabase, server: SimulatorServer, tmp_path: Path) -> World:
    """Return the tables on every kind of database, the receiver, and an empty folder to run in."""
    return World(deployed, server, tmp_path)

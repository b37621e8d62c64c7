"""Fill the staging table from CSV files: a file is a collection whole, so what is in it no more is taken out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from api_pipeline.sdr.csv_files import Assumed, records
from api_pipeline.sdr.nouns import Collection
from api_pipeline.sdr.store import PAGE, Store


@dataclass(slots=True)
class Loaded:
    """What loading one file did, and what was assumed of it."""

    path: Path
    collection: Collection
    assumed: Assumed = field(default_factory=Assumed)
    added: int = 0
    changed: int = 0
    unchanged: int = 0
    removed: int = 0


def load_all(store: Store, files: Sequence[tuple[Path, Collection, Mapping[str, Any]]], *, keeps: bool) -> list[Loaded]:
    """Put the records of files into the staging table, all of them or none; `keeps` leaves what is in no file.

    With each file stand its collection and the types of its columns. Errors: SettingsError for a file, DatabaseError.
    """
    with store.connection.transaction():
        return [_load(store, path, collection, properties, keeps=keeps) for path, collection, properties in files]


def _load(store: Store, path: Path, collection: Collection, properties: Mapping[str, Any], *, keeps: bool) -> Loaded:
    loaded = Loaded(path, collection)
    present: set[str] = set()
    for page in _pages(records(path, collection, properties, loaded.assumed)):
        present.update(local_id for local_id, _ in page)
        _put(store, collection, page, loaded)
    if not keeps:
        _remove(store, collection, present, loaded)
    return loaded


def _pages(rows: Iterable[tuple[str, dict[str, Any]]]) -> Iterable[list[tuple[str, str]]]:
    page: list[tuple[str, str]] = []
    for local_id, record in rows:
        page.append((local_id, orjson.dumps(record).decode()))
        if len(page) == PAGE:
            yield page
            page = []
    if page:
        yield page


def _put(store: Store, collection: Collection, page: list[tuple[str, str]], loaded: Loaded) -> None:
    keys = [local_id for local_id, _ in page]
    found = store.query("read_staged_keys", [collection.value, keys])
    known = {str(row[0]): (int(row[1]), str(row[2])) for row in found}
    new = [(collection.value, local_id, text) for local_id, text in page if local_id not in known]
    store.insert("insert_staged", new)
    loaded.added += len(new)
    for local_id, text in page:
        if local_id not in known:
            continue
        row_id, before = known[local_id]
        if before == text:
            loaded.unchanged += 1
        else:
            store.execute("update_staged", [text, row_id])
            loaded.changed += 1


def _remove(store: Store, collection: Collection, present: set[str], loaded: Loaded) -> None:
    for rows in store.pages_of("read_staged_ids", collection):
        gone = [int(row[0]) for row in rows if str(row[1]) not in present]
        store.execute_by_keys("delete_staged", (), gone)
        loaded.removed += len(gone)

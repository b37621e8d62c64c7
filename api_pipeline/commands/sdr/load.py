"""`sdr load`: the staging table from the CSV files of a student management system."""

from __future__ import annotations

from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING

import click

from api_pipeline.commands.common import Common, json_option, pass_common, print_json
from api_pipeline.commands.sdr.common import sdr_session
from api_pipeline.common.paths import is_there
from api_pipeline.run_summary import counted
from api_pipeline.sdr.nouns import Collection

if TYPE_CHECKING:
    from api_pipeline.sdr.loading import Loaded


@click.command("load")
@pass_common
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--collection",
    type=click.Choice([one.value for one in Collection]),
    help="Name the collection of the file, if its name does not contain it (one file only).",
)
@click.option("--keep", is_flag=True, help="Leave staged records that are not in the file.")
@json_option
def command(common: Common, files: tuple[Path, ...], collection: str | None, keep: bool, as_json: bool) -> None:
    """Fill the staging table from CSV files (LEAR, REGT, ENRL, COURCOMP, QUALCOMP in their names).

    A file holds the whole of its collection. A staged record that is not in the file is removed, and the next submit
    deletes it at TEC.
    """
    from api_pipeline.assembly.sdr import store_alone
    from api_pipeline.documents import sdr as documents
    from api_pipeline.errors import SettingsError
    from api_pipeline.sdr.csv_files import collection_of
    from api_pipeline.sdr.loading import load_all
    from api_pipeline.sdr.openapi import schemas
    from api_pipeline.sdr.settings import Purpose

    files = tuple(one for path in files for one in _named_by(path))
    if collection and len(files) > 1:
        raise SettingsError("--collection names what one file holds; give one file with it.")
    # Looked at before the first is loaded: of two files of a collection, the second would take out the first one's.
    kinds = [Collection(collection) if collection else collection_of(path) for path in files]
    if twice := [kind.value for kind in Collection if kinds.count(kind) > 1 and not keep]:
        raise SettingsError(
            f"Two files hold {', '.join(twice)}, and a file holds the whole of its collection; nothing was loaded. "
            "Make one file of them, or give --keep."
        )
    with sdr_session(common, Purpose.TABLES) as started:
        settings = started.settings
        types = schemas(settings.schema, settings.paths) if settings.schema else {}
        properties = [types.get(kind, {}).get("properties", {}) for kind in kinds]
        with store_alone(started.settings) as (store, _):
            done = load_all(store, list(zip(files, kinds, properties, strict=True)), keeps=keep)
    if not as_json:
        for loaded, known in zip(done, properties, strict=True):
            _show(loaded, has_types=bool(known))
    exit_code = 1 if any(loaded.assumed.unusable for loaded in done) else 0
    if as_json:
        print_json(documents.loaded(done, exit_code))
    raise SystemExit(exit_code)


def _show(loaded: Loaded, *, has_types: bool) -> None:
    assumed = loaded.assumed
    click.echo(
        f"{loaded.path.name}: {_rows(assumed.rows)} of {loaded.collection.value}: {loaded.added:,} added, "
        f"{loaded.changed:,} changed, {loaded.unchanged:,} unchanged, {loaded.removed:,} taken out"
    )
    for reason, count in assumed.unusable.items():
        click.echo(f"  {_rows(count)} not loaded: {reason}")
    click.echo(f"  localId is made of: {', '.join(assumed.key) or 'nothing, the file has no row'}")
    source = (
        "TEC's file (SDR_SCHEMA)" if has_types else "assumed; name TEC's OpenAPI file in SDR_SCHEMA to have them right"
    )
    kinds: dict[str, list[str]] = {}
    for name, kind in assumed.columns.items():
        kinds.setdefault(kind, []).append(name)
    click.echo(f"  Types: {source}.")
    for kind, names in kinds.items():
        click.echo(f"    {kind}: {', '.join(names)}")
    if assumed.left_out:
        click.echo(f"  Left out: {', '.join(assumed.left_out)}")


def _named_by(path: Path) -> list[Path]:
    """Return the files that a pattern names, which shells of Windows leave to the program; else the path itself."""
    if is_there(path):
        return [path]
    # `Path.glob` raises an error for some patterns, such as **.csv.
    return [Path(name) for name in sorted(glob(str(path)))] or [path]  # noqa: PTH207 - see above


def _rows(count: int) -> str:
    return counted(count, "{row|rows}", ",")

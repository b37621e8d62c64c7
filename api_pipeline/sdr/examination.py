"""The examination before a submission: what the checks find, and which records it therefore leaves out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from api_pipeline.logs.plain_text import harmless
from api_pipeline.sdr.checks import SchemaCheck, check_all, misplaced, misplaced_text
from api_pipeline.sdr.nouns import INDICATIVE, Collection, ReturnPeriod
from api_pipeline.sdr.outcome import Options
from api_pipeline.sdr.store import Store
from api_pipeline.settings.definition import CheckLevel


@dataclass(frozen=True, slots=True)
class Examined:
    """What the checks found, and the options of the submission after it.

    `errors` counts by collection, rule and text; `misplaced` are the staged records that are in no collection.
    """

    options: Options
    errors: Mapping[tuple[str, str, str], int]
    misplaced: int


def examine(
    store: Store, period: ReturnPeriod, options: Options, level: CheckLevel, schema: SchemaCheck | None
) -> Examined:
    """Return the options with the collections that the return takes, and without the records that the checks reject."""
    # Without a sentence nobody would miss records under a word that is no collection.
    words = misplaced(store.count_staged())
    errors = {(harmless(word), "collection", misplaced_text({word: count})): count for word, count in words.items()}
    withheld: set[tuple[Collection, str]] = set()
    if level != "off":
        for error in check_all(store, options.collections, indicative=period.is_indicative, schema=schema):
            key = (error.collection.value, error.rule, error.text)
            errors[key] = errors.get(key, 0) + 1
            if level == "reject" and error.local_id:
                withheld.add((error.collection, error.local_id))
    taken = tuple(one for one in options.collections if one in INDICATIVE or not period.is_indicative)
    return Examined(
        replace(options, collections=taken, withheld=frozenset(withheld)), errors, misplaced=sum(words.values())
    )

"""What the write-back of one school works with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from api_pipeline.xporter.wire.client import IdaasClient
from api_pipeline.xporter.write_back.options import WriteBackOptions
from api_pipeline.xporter.write_back.outbox import Outbox
from api_pipeline.xporter.write_back.summary import WriteBackSummary


@dataclass(frozen=True, slots=True)
class SchoolParts:
    """The client asks as the school; `with_retry` runs work on the database within its budget."""

    client: IdaasClient
    outbox: Outbox
    options: WriteBackOptions
    with_retry: Callable[[Callable[[], Any]], Any]
    summary: WriteBackSummary

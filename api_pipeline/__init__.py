"""Send staged children's social care records to the Department for Education (the CSC API).

The Python interface (`interface.py`) can be taken from here; it is imported when it is first asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from api_pipeline._version import __version__

if TYPE_CHECKING:
    from api_pipeline.interface import (
        PipelineError,
        Settings,
        as_table,
        diagnose,
        load_settings,
        make_trial_database,
        rehearse,
        run,
        status,
        validate,
    )


__all__ = [
    "PipelineError",
    "Settings",
    "__version__",
    "as_table",
    "diagnose",
    "load_settings",
    "make_trial_database",
    "rehearse",
    "run",
    "status",
    "validate",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module("api_pipeline.interface"), name)

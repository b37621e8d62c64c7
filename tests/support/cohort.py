"""Whether a person of invented SSD rows is in the cohort."""

from __future__ import annotations

from api_pipeline.settings.model import StagingSettings
from api_pipeline.staging.cohort import eligibility
from api_pipeline.staging.rows import PersonRows
from tests.support.ssd import DEFAULTS, WINDOW


def is_in(of: PersonRows, settings: StagingSettings = DEFAULTS) -> bool:
    """Return whether the person is in the cohort."""
    return eligibility(of, WINDOW, settings).is_in

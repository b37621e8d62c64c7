"""The settings as one object, built once by `loading.load_settings` and passed down."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from enum import Enum
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

from api_pipeline.settings.definition import CheckLevel
from api_pipeline.settings.notify import OTHER_PINGS, NotifySettings
from api_pipeline.settings.safety import children_url, plain_address
from api_pipeline.settings.values import Shard
from api_pipeline.settings.xporter import XporterSettings
from api_pipeline.sql.connection_string import redacted_connection_string, redacted_url

LogFormat: TypeAlias = Literal["text", "json"]
LogTarget: TypeAlias = Literal["", "syslog", "eventlog"]
ProxyAuth: TypeAlias = Literal["basic", "integrated"]


class Purpose(Enum):
    """What a command is about to do; it decides which settings are needed."""

    RUN = "run"
    STAGE = "stage"
    STAGE_AND_RUN = "stage and run"
    DATABASE = "database"
    ENDPOINT = "endpoint"
    XPORTER = "xporter"
    NOTIFY = "notify"
    NOTHING = "nothing"

    @property
    def needs_database(self) -> bool:
        """Return whether the command opens the database."""
        return self not in (Purpose.ENDPOINT, Purpose.NOTIFY, Purpose.NOTHING)

    @property
    def stages(self) -> bool:
        """Return whether the command fills the staging table with the records of real children."""
        return self in (Purpose.STAGE, Purpose.STAGE_AND_RUN)

    @property
    def runs(self) -> bool:
        """Return whether the command sends records."""
        return self in (Purpose.RUN, Purpose.STAGE_AND_RUN)

    def needs_receiver(self, *, testing: bool) -> bool:
        """Return whether the command needs endpoint and credentials."""
        return self is Purpose.ENDPOINT or (self.runs and not testing)

    def secrets_needed(self, *, testing: bool) -> tuple[str, ...]:
        """Return the secret settings that the command looks for in the credential store."""
        messages = ("NOTIFY_WEBHOOK", "NOTIFY_EMAIL_PASSWORD")
        needed: tuple[str, ...] = ("DB_CONNECTION_STRING",) if self.needs_database else ()
        if self.needs_receiver(testing=testing):
            needed += ("CLIENT_SECRET", "SUPPLIER_KEY", "PROXY_URL")
        if self is Purpose.NOTIFY:
            needed += (*messages, "PING_URL", *OTHER_PINGS)
        elif self is Purpose.XPORTER:
            needed += ("XPORTER_MANAGEMENT_SECRET", "PROXY_URL", *messages, *OTHER_PINGS)
        elif self.runs and not testing:
            needed += (*messages, "PING_URL")
        return needed


class StagingSettings(NamedTuple):
    """The settings of `stage`, of which `run` needs none."""

    ssd_schema: str
    cohort_months_back: int
    cohort_year_start_month: int
    cohort_person_ids: tuple[str, ...]
    cohort_filter_table: str
    cohort_include_cp_plans: bool
    cohort_include_disabled: bool
    one_block_per_child: bool
    purge_left_window: bool
    delete_left_window: bool
    max_deleted_share: float
    uasc_values: tuple[str, ...]


@dataclass(frozen=True, slots=True, repr=False)
class Settings:
    """Everything a command may know of its settings, checked.

    A text that is not set is "", a path that is not set is None. Times are in the unit that the name ends in.
    `warnings` are sentences for the operator that stop nothing. The representation shows no secret.
    """

    connection_string: str
    table_name: str
    api_endpoint: str
    token_endpoint: str
    client_id: str
    client_secret: str
    scope: str
    supplier_key: str
    la_code: str
    testing_mode: bool
    allow_live_data_to_test: bool
    use_partial_payload: bool
    purge_vanished: bool
    schema_check: CheckLevel
    schema_codes: CheckLevel
    shard: Shard
    batch_size: int
    max_in_flight: int
    min_post_gap_ms: int
    max_attempts: int
    retry_max_wait_s: float
    connect_timeout_s: float
    read_timeout_s: float
    give_up_after_failed_batches: int
    db_retry_s: float
    stop_grace_s: float
    proxy_url: str
    proxy_auth: ProxyAuth
    ca_bundle: Path | None
    user_agent: str
    log_file: Path | None
    log_format: LogFormat
    log_to: LogTarget
    debug: bool
    spool_folder: Path
    staging: StagingSettings
    xporter: XporterSettings
    notify: NotifySettings = field(default_factory=NotifySettings)
    metrics_file: Path | None = None
    log_keep_days: int = 0
    env_file: Path | None = None
    warnings: tuple[str, ...] = field(default=())

    @property
    def children_url(self) -> str:
        """Return the URL to which records are POSTed; the receiver's path is added unless it is there (contract 2)."""
        return children_url(self.api_endpoint, self.la_code)

    @property
    def receiver(self) -> str:
        """Return the key of this receiver in the table of baselines, however its host and its port are written."""
        return plain_address(self.children_url)

    def __repr__(self) -> str:
        shown = {
            "connection_string": redacted_connection_string(self.connection_string),
            "client_secret": "***" if self.client_secret else "",
            "supplier_key": "***" if self.supplier_key else "",
            "proxy_url": redacted_url(self.proxy_url),
        }
        parts = (f"{item.name}={shown.get(item.name, getattr(self, item.name))!r}" for item in fields(self))
        return f"Settings({', '.join(parts)})"

"""Every setting in one table: the checks, `.env.example` and the settings reference are all made from it.

The settings of the main job come first (contract 2), those of `stage` last. The modes and `SHARD` are
settings too, because each may come from an option, the environment or the `.env` file.
"""

from __future__ import annotations

from typing import get_args

from api_pipeline._version import __version__
from api_pipeline.settings.definition import CheckLevel, Group, Needed, Setting, SettingKind
from api_pipeline.settings.notify_definitions import NOTIFY_SETTINGS
from api_pipeline.settings.xporter_definitions import XPORTER_SETTINGS

_CHECK: tuple[str, ...] = get_args(CheckLevel)

_DATABASE = (
    Setting(
        "DB_CONNECTION_STRING",
        Group.DATABASE,
        SettingKind.CONNECTION,
        "Where the staging table is: an ODBC connection string, or sqlite:///PATH for the embedded database. "
        "A value with ; or } in it stands in braces, and } is doubled there: PWD={a;b}}c}.",
        example="Driver={ODBC Driver 18 for SQL Server};Server=SERVER;Database=DB;Trusted_Connection=yes",
        aliases=("SQL_CONN_STR",),
        secret=True,
        needed=Needed.DATABASE,
    ),
    Setting(
        "USER_SERVER",
        Group.DATABASE,
        SettingKind.TEXT,
        "Instead of DB_CONNECTION_STRING: the SQL Server to log in to as the current Windows user, through "
        "the newest SQL Server ODBC driver that is installed. Goes with USER_DATABASE.",
        example="YOURSERVER",
    ),
    Setting(
        "USER_DATABASE",
        Group.DATABASE,
        SettingKind.TEXT,
        "The database on USER_SERVER.",
        example="YOURDATABASE",
    ),
    Setting(
        "TABLE_NAME",
        Group.DATABASE,
        SettingKind.TABLE,
        "The staging table, optionally schema.table.",
        default_note="ssd_api_data_staging_anon when testing, ssd_api_data_staging when live",
        example="ssd_api_data_staging_anon",
    ),
)

_RECEIVER = (
    Setting(
        "API_ENDPOINT",
        Group.RECEIVER,
        SettingKind.URL,
        "The receiver's base URL. /children_social_care_data/{LA_CODE}/children is added unless it is there "
        "already. http:// is accepted for this machine alone.",
        example="https://receiver.example/children-in-social-care-data-receiver-test/1",
        needed=Needed.LIVE,
    ),
    Setting(
        "TOKEN_ENDPOINT",
        Group.RECEIVER,
        SettingKind.URL,
        "Where an access token is fetched: the portal's OAuth token endpoint. http:// is accepted for this "
        "machine alone.",
        example="https://login.example/TENANT/oauth2/v2.0/token",
        needed=Needed.LIVE,
    ),
    Setting("CLIENT_ID", Group.RECEIVER, SettingKind.TEXT, "The portal's OAuth Client ID.", needed=Needed.LIVE),
    Setting(
        "CLIENT_SECRET",
        Group.RECEIVER,
        SettingKind.TEXT,
        "The portal's Native OAuth Application-flow primary or secondary key. Better kept in the operating "
        "system's credential store: d2i-csc-api secrets set CLIENT_SECRET.",
        secret=True,
        needed=Needed.LIVE,
    ),
    Setting("SCOPE", Group.RECEIVER, SettingKind.TEXT, "The portal's OAuth Scope.", needed=Needed.LIVE),
    Setting(
        "SUPPLIER_KEY",
        Group.RECEIVER,
        SettingKind.HEADER,
        "The portal's Subscription primary or secondary key, sent as header SupplierKey. It may be kept in "
        "the credential store as well.",
        secret=True,
        needed=Needed.LIVE,
    ),
    Setting(
        "LA_CODE",
        Group.RECEIVER,
        SettingKind.LA_CODE,
        "The local authority's code, three digits.",
        example="845",
        needed=Needed.LIVE,
    ),
)

_MODE = (
    Setting(
        "TESTING_MODE",
        Group.MODE,
        SettingKind.BOOLEAN,
        "true: a run sends nothing, the receiver's answers are simulated. false: live. smoke and test-endpoint speak "
        "to the configured receiver in both.",
        default="true",
    ),
    Setting(
        "ALLOW_LIVE_DATA_TO_TEST",
        Group.MODE,
        SettingKind.BOOLEAN,
        "true: a live run may send a table whose name does not end in _anon to a test endpoint (its URL "
        "contains -test). DfE's test endpoint is for invented data only.",
        default="false",
    ),
    Setting(
        "USE_PARTIAL_PAYLOAD",
        Group.MODE,
        SettingKind.BOOLEAN,
        "true: only what changed since the receiver's last acceptance is sent (deltas). false: full payloads.",
        default="false",
    ),
    Setting(
        "PURGE_VANISHED",
        Group.MODE,
        SettingKind.BOOLEAN,
        "true: a full payload also says which parts the receiver holds that are no longer in the record, so "
        "that it removes them. false: full payloads go as they are staged.",
        default="true",
    ),
    Setting(
        "SCHEMA_CHECK",
        Group.MODE,
        SettingKind.CHOICE,
        "What happens to a record that breaks the payload schema: reject (not sent, marked error), warn "
        "(sent, and logged) or off (not checked).",
        default="reject",
        choices=_CHECK,
    ),
    Setting(
        "SCHEMA_CODES",
        Group.MODE,
        SettingKind.CHOICE,
        "The same for values that are not in their code list.",
        default="warn",
        choices=_CHECK,
    ),
    Setting(
        "SHARD",
        Group.MODE,
        SettingKind.SHARD,
        "I/N: this run sends only the I-th of N parts of the table, so that N runs may share the work.",
        default="1/1",
    ),
)

_PACE = (
    Setting("BATCH_SIZE", Group.PACE, SettingKind.INTEGER, "Records in one POST.", default="100", low=1, high=100),
    Setting("MAX_IN_FLIGHT", Group.PACE, SettingKind.INTEGER, "POSTs under way at once.", default="1", low=1, high=16),
    Setting(
        "MIN_POST_GAP_MS",
        Group.PACE,
        SettingKind.INTEGER,
        "Least time between the starts of two POSTs, in milliseconds.",
        default="0",
        low=0,
        high=600_000,
    ),
    Setting(
        "MAX_ATTEMPTS",
        Group.PACE,
        SettingKind.INTEGER,
        "How often one POST is tried when it fails with a transient error.",
        default="5",
        low=1,
        high=100,
    ),
    Setting(
        "RETRY_MAX_WAIT_S",
        Group.PACE,
        SettingKind.NUMBER,
        "Longest wait between two tries, in seconds.",
        default="120",
        low=0,
        high=3600,
    ),
    Setting(
        "CONNECT_TIMEOUT_S",
        Group.PACE,
        SettingKind.NUMBER,
        "How long to wait for a connection, in seconds.",
        default="10",
        low=0.001,
        high=3600,
    ),
    Setting(
        "READ_TIMEOUT_S",
        Group.PACE,
        SettingKind.NUMBER,
        "How long to wait for an answer to begin, and then for all of it, in seconds.",
        default="60",
        low=0.001,
        high=3600,
    ),
    Setting(
        "GIVE_UP_AFTER_FAILED_BATCHES",
        Group.PACE,
        SettingKind.INTEGER,
        "The run stops and leaves the rest pending after so many batches in a row fail because of the service.",
        default="3",
        low=1,
        high=1_000_000,
    ),
    Setting(
        "DB_RETRY_S",
        Group.PACE,
        SettingKind.NUMBER,
        "How long a run waits for a database that it lost, in seconds. Receipts that still cannot be written are kept "
        "in a file (SPOOL_FOLDER) for the next run.",
        default="30",
        low=0,
        high=3600,
    ),
    Setting(
        "STOP_GRACE_S",
        Group.PACE,
        SettingKind.NUMBER,
        "How long a run that a signal stops waits for the answers under way, in seconds.",
        default="20",
        low=0,
        high=3600,
    ),
)

_NETWORK = (
    Setting(
        "PROXY_URL",
        Group.NETWORK,
        SettingKind.PROXY,
        "The proxy for the token request and the POSTs alike; user and password may stand in it.",
        default_note="the system's proxy (HTTPS_PROXY and NO_PROXY of the environment are obeyed)",
        example="http://proxy.example:8080",
        secret=True,
    ),
    Setting(
        "PROXY_AUTH",
        Group.NETWORK,
        SettingKind.CHOICE,
        "How to log in to the proxy: basic (user and password of PROXY_URL) or integrated (as the current "
        "Windows user; needs the optional extra ntlm).",
        default="basic",
        choices=("basic", "integrated"),
    ),
    Setting(
        "CA_BUNDLE",
        Group.NETWORK,
        SettingKind.FILE,
        "A PEM file of certificate authorities to trust.",
        default_note="the operating system's trust store",
    ),
    Setting(
        "USER_AGENT",
        Group.NETWORK,
        SettingKind.HEADER,
        "How this program names itself to the receiver.",
        default_note=f"d2i-csc-api/{__version__}",
    ),
)

_LOGGING = (
    Setting(
        "LOG_FILE",
        Group.LOGGING,
        SettingKind.PATH,
        "A log file; it is rotated at 5 MB and five old ones are kept.",
        default_note="none",
    ),
    Setting(
        "LOG_KEEP_DAYS",
        Group.LOGGING,
        SettingKind.INTEGER,
        "How many days the lines of the table ssd_api_submission_log are kept; a run deletes older ones at its end. "
        "0: none is deleted. Acceptances that are still needed always stay.",
        default="0",
        low=0,
        high=36500,
    ),
    Setting(
        "LOG_FORMAT",
        Group.LOGGING,
        SettingKind.CHOICE,
        "text, or json (one JSON object a line) for log collectors.",
        default="text",
        choices=("text", "json"),
    ),
    Setting(
        "LOG_TO",
        Group.LOGGING,
        SettingKind.CHOICE,
        "Also log to the system: syslog (Linux, macOS) or eventlog (Windows; needs the package pywin32).",
        default_note="nothing more",
        choices=("syslog", "eventlog"),
    ),
    Setting("DEBUG", Group.LOGGING, SettingKind.BOOLEAN, "true: verbose output.", default="false"),
    Setting(
        "SPOOL_FOLDER",
        Group.LOGGING,
        SettingKind.PATH,
        "Where receipts are kept that could not be written back because the database went away; the next run "
        "writes them back first.",
        default_note="the folder of the .env file, else the working folder",
    ),
)

_STAGING = (
    Setting(
        "SSD_SCHEMA",
        Group.STAGING,
        SettingKind.SCHEMA,
        "The schema in which the SSD tables are, optionally database.schema.",
        default_note="none: the login's default schema",
    ),
    Setting(
        "COHORT_MONTHS_BACK",
        Group.STAGING,
        SettingKind.INTEGER,
        "How many months the window reaches back before the year's start is taken.",
        default="24",
        low=0,
        high=600,
    ),
    Setting(
        "COHORT_YEAR_START_MONTH",
        Group.STAGING,
        SettingKind.INTEGER,
        "The month on whose first day a reporting year begins.",
        default="4",
        low=1,
        high=12,
    ),
    Setting(
        "COHORT_PERSON_IDS",
        Group.STAGING,
        SettingKind.LIST,
        "Only these person ids, with commas between: a few children for a first rehearsal.",
        default_note="everybody in the cohort",
    ),
    Setting(
        "COHORT_FILTER_TABLE",
        Group.STAGING,
        SettingKind.TABLE,
        "A table of your own with a column person_id: only these people are taken.",
        default_note="no filter",
    ),
    Setting(
        "COHORT_INCLUDE_CP_PLANS",
        Group.STAGING,
        SettingKind.BOOLEAN,
        "true: children with a child protection plan in the window and nothing else are taken as well.",
        default="false",
    ),
    Setting(
        "COHORT_INCLUDE_DISABLED",
        Group.STAGING,
        SettingKind.BOOLEAN,
        "true: children with a disability code and nothing else are taken as well.",
        default="false",
    ),
    Setting(
        "ONE_BLOCK_PER_CHILD",
        Group.STAGING,
        SettingKind.BOOLEAN,
        "true: adoption and care-leaver blocks go into the latest episode only. false: into every episode.",
        default="false",
    ),
    Setting(
        "PURGE_LEFT_WINDOW",
        Group.STAGING,
        SettingKind.BOOLEAN,
        "true: an item that left the time window is purged at the receiver. false: only items that vanished "
        "from the SSD are.",
        default="false",
    ),
    Setting(
        "DELETE_LEFT_WINDOW",
        Group.STAGING,
        SettingKind.BOOLEAN,
        "true: a person who left the cohort by age or window is deleted and purged as any other. false: kept.",
        default="true",
    ),
    Setting(
        "MAX_DELETED_SHARE",
        Group.STAGING,
        SettingKind.NUMBER,
        "A staging that would delete more than this share of the rows stops and changes nothing.",
        default="0.05",
        low=0,
        high=1,
    ),
    Setting(
        "UASC_VALUES",
        Group.STAGING,
        SettingKind.LIST,
        "Immigration statuses that mean an unaccompanied asylum-seeking child, with commas between and "
        "without regard to case; * stands for any text.",
        default="U,UASC,*UASC*,*unaccompanied asylum*",
    ),
)

SETTINGS: tuple[Setting, ...] = (
    *_DATABASE,
    *_RECEIVER,
    *_MODE,
    *_PACE,
    *_NETWORK,
    *_LOGGING,
    *NOTIFY_SETTINGS,
    *_STAGING,
    *XPORTER_SETTINGS,
)

BY_NAME: dict[str, Setting] = {setting.name: setting for setting in SETTINGS}

SECRET_NAMES: tuple[str, ...] = tuple(setting.name for setting in SETTINGS if setting.secret)
# What the credential store keeps: also the secrets of the Single Data Return, whose settings have a table of their own.
STORED_SECRETS: tuple[str, ...] = (*SECRET_NAMES, "SDR_CLIENT_SECRET", "SDR_PING_URL")


def canonical_name(name: str) -> str | None:
    """Return the setting that `name` means, as its name or as an alias; None when there is none."""
    for setting in SETTINGS:
        if name == setting.name or name in setting.aliases:
            return setting.name
    return None

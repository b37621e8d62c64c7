"""Every setting of the Single Data Return in one table: checks, example file and reference are made from it.

What has nothing to do with TEC (database, network, logs) is called as in the children's service.
"""

from __future__ import annotations

from typing import get_args

from api_pipeline.sdr.nouns import Collection
from api_pipeline.settings.definition import CheckLevel, Group, Needed, Setting, SettingKind
from api_pipeline.settings.definitions import BY_NAME as _SHARED

_UNSEEN = " TEC's page that gives it was not seen in full; if TEC answers 404, set it to what TEC's API portal says."

_OWN = (
    Setting(
        "SDR_TABLE_NAME",
        Group.DATABASE,
        SettingKind.TABLE,
        "The staging table, optionally schema.table. The other tables stand beside it.",
        default="sdr_staging",
    ),
    Setting(
        "SDR_API_ENDPOINT",
        Group.RECEIVER,
        SettingKind.URL,
        "TEC's base URL, from TEC's API portal. /submissions/v1.0 is added unless it is there already. http:// is "
        "accepted for this machine alone.",
        example="https://api.tec.example",
        needed=Needed.LIVE,
    ),
    Setting(
        "SDR_EID",
        Group.RECEIVER,
        SettingKind.HEADER,
        "The organisation's EDUMIS number, digits only; sent as header EID.",
        example="9999",
        needed=Needed.LIVE,
    ),
    Setting(
        "SDR_TOKEN_ENDPOINT",
        Group.RECEIVER,
        SettingKind.URL,
        "The address that gives access tokens: that of Education Sector Logon (ESL).",
        example="https://security.example/oauth2/access_token",
        needed=Needed.LIVE,
    ),
    Setting(
        "SDR_CLIENT_ID",
        Group.RECEIVER,
        SettingKind.TEXT,
        "The ESL machine account's name.",
        needed=Needed.LIVE,
    ),
    Setting(
        "SDR_CLIENT_SECRET",
        Group.RECEIVER,
        SettingKind.TEXT,
        "The ESL machine account's password.",
        secret=True,
        needed=Needed.LIVE,
    ),
    Setting(
        "SDR_SCOPE",
        Group.RECEIVER,
        SettingKind.TEXT,
        "The scope of the access token, from TEC's page on ESL.",
        needed=Needed.LIVE,
    ),
    Setting(
        "SDR_ORG_ID",
        Group.RECEIVER,
        SettingKind.HEADER,
        "org_id of the token request. ESL may want it with leading zeros (0123).",
        default_note="as SDR_EID is written",
        example="0123",
    ),
    Setting(
        "SDR_CLIENT_AUTH",
        Group.RECEIVER,
        SettingKind.CHOICE,
        "How the machine account logs in: basic (HTTP Basic, as TEC's page says) or form.",
        default="basic",
        choices=("basic", "form"),
    ),
    Setting(
        "SDR_AUTH_HEADER",
        Group.RECEIVER,
        SettingKind.CHOICE,
        "The header that carries the access token. The text of a sister API of TEC's calls it authentication: set that "
        "if TEC refuses every fresh token.",
        default="authorization",
        choices=("authorization", "authentication"),
    ),
    *(
        Setting(
            f"SDR_PATH_{one.name}",
            Group.RECEIVER,
            SettingKind.TEXT,
            f"The path of the collection {one.value}.{'' if one is Collection.LEARNERS else _UNSEEN}",
            default=one.value,
        )
        for one in Collection
    ),
    Setting(
        "SDR_PATH_RESULTS",
        Group.RECEIVER,
        SettingKind.TEXT,
        "The path of the validation results; {token} stands for the submission token. Where nothing is there, the path "
        "of the validation status is tried." + _UNSEEN,
        default="validation/{token}/results",
    ),
    Setting(
        "TESTING_MODE",
        Group.MODE,
        SettingKind.BOOLEAN,
        "true: nothing leaves this machine, TEC is simulated and forgets everything at the end of the command. false: "
        "live.",
        default="true",
    ),
    Setting(
        "SDR_ON_NEW_TOKEN",
        Group.MODE,
        SettingKind.CHOICE,
        "What another submission token for the same return means: reupload (everything is sent again, right whether "
        "TEC kept it or not), continue (TEC kept it: saves time if TEC confirms that) or reset (the submission is "
        "deleted and sent whole; not by a run with --collection or --limit, or one that holds a record back, which "
        "sends it again).",
        default="reupload",
        choices=("reupload", "continue", "reset"),
    ),
    Setting(
        "SDR_MAX_DELETED_SHARE",
        Group.MODE,
        SettingKind.NUMBER,
        "The largest share of what TEC holds that one submission may delete, unless --allow-deletes is given.",
        default="0.1",
        low=0,
        high=1,
    ),
    Setting(
        "SDR_CHECK",
        Group.MODE,
        SettingKind.CHOICE,
        "What happens to a record in which sdr check finds an error: reject (held back, the rest is sent), warn (sent, "
        "and counted) or off (not checked). A record that cannot be sent at all is always held back.",
        default="warn",
        choices=get_args(CheckLevel),
    ),
    Setting(
        "SDR_SCHEMA",
        Group.MODE,
        SettingKind.FILE,
        "TEC's OpenAPI file (JSON), downloaded from its API portal: records are checked against it, and sdr load takes "
        "the types of fields from it.",
    ),
    Setting(
        "SDR_BATCH_SIZE",
        Group.PACE,
        SettingKind.INTEGER,
        "Records in one request at most; if TEC's own limit is smaller, that applies.",
        default="1000",
        low=1,
        high=100_000,
    ),
    Setting(
        "SDR_WAIT_BLOCKED_S",
        Group.PACE,
        SettingKind.NUMBER,
        "How long a command waits while TEC is busy with another request or a validation, in seconds.",
        default="600",
        low=0,
        high=86_400,
    ),
    Setting(
        "SDR_POLL_S",
        Group.PACE,
        SettingKind.NUMBER,
        "The first pause between two requests for the state of a validation, in seconds; it grows to a minute.",
        default="5",
        low=0.01,
        high=3600,
    ),
    Setting(
        "SDR_VALIDATION_TIMEOUT_S",
        Group.PACE,
        SettingKind.NUMBER,
        "How long a command waits for a validation, in seconds. TEC continues it afterwards.",
        default="3600",
        low=1,
        high=86_400,
    ),
    Setting(
        "SDR_PING_URL",
        Group.NOTIFY,
        SettingKind.WEBHOOK,
        "The address of a check (healthchecks.io or a similar service) for sdr submit and sdr validate: each calls "
        "/start when it begins, the address itself if all went well, /fail if it did not.",
        example="https://hc-ping.com/UUID",
        secret=True,
    ),
    Setting(
        "SDR_GZIP",
        Group.NETWORK,
        SettingKind.BOOLEAN,
        "true: bodies are compressed. If TEC cannot read them (GM1), the run continues without compression.",
        default="false",
    ),
)

_SHARED_NAMES = (
    "DB_CONNECTION_STRING",
    "USER_SERVER",
    "USER_DATABASE",
    "MIN_POST_GAP_MS",
    "MAX_ATTEMPTS",
    "RETRY_MAX_WAIT_S",
    "CONNECT_TIMEOUT_S",
    "READ_TIMEOUT_S",
    "PROXY_URL",
    "PROXY_AUTH",
    "CA_BUNDLE",
    "USER_AGENT",
    "LOG_FILE",
    "LOG_FORMAT",
    "LOG_TO",
    "DEBUG",
    "NOTIFY_WHEN",
    "NOTIFY_WEBHOOK",
    "NOTIFY_WEBHOOK_KIND",
    "NOTIFY_EMAIL_TO",
    "NOTIFY_EMAIL_FROM",
    "NOTIFY_EMAIL_SERVER",
    "NOTIFY_EMAIL_PORT",
    "NOTIFY_EMAIL_SECURITY",
    "NOTIFY_EMAIL_USER",
    "NOTIFY_EMAIL_PASSWORD",
    "METRICS_FILE",
)

SETTINGS = (*(_SHARED[name] for name in _SHARED_NAMES), *_OWN)
BY_NAME = {setting.name: setting for setting in SETTINGS}
SECRETS = (
    *("DB_CONNECTION_STRING", "SDR_CLIENT_SECRET", "PROXY_URL"),
    *("NOTIFY_WEBHOOK", "NOTIFY_EMAIL_PASSWORD", "SDR_PING_URL"),
)

"""The settings of notifications and metrics."""

from __future__ import annotations

from api_pipeline.settings.definition import Group, Setting, SettingKind

NOTIFY_SETTINGS = (
    Setting(
        "NOTIFY_WHEN",
        Group.NOTIFY,
        SettingKind.CHOICE,
        "Which runs are reported by webhook and mail: failure (every run that failed), recovery (those, and the first "
        "good run after them) or always (every run). PING_URL is called for every run.",
        default="failure",
        choices=("failure", "recovery", "always"),
    ),
    Setting(
        "NOTIFY_WEBHOOK",
        Group.NOTIFY,
        SettingKind.WEBHOOK,
        "A webhook that gets the exit code and the counts of a run: of Teams (Workflows), of Slack, or your own. It "
        "may be kept in the credential store as well.",
        example="https://hooks.example/services/TOKEN",
        secret=True,
    ),
    Setting(
        "NOTIFY_WEBHOOK_KIND",
        Group.NOTIFY,
        SettingKind.CHOICE,
        "The format that the webhook expects: teams (an adaptive card), slack (a text) or json (every count by its "
        "name).",
        default_note="by the host of NOTIFY_WEBHOOK, else json",
        choices=("teams", "slack", "json"),
    ),
    Setting(
        "NOTIFY_EMAIL_TO",
        Group.NOTIFY,
        SettingKind.LIST,
        "The addresses that get a mail. It needs NOTIFY_EMAIL_FROM and NOTIFY_EMAIL_SERVER.",
        default_note="nobody",
        example="data.team@council.example",
    ),
    Setting(
        "NOTIFY_EMAIL_FROM",
        Group.NOTIFY,
        SettingKind.TEXT,
        "The sender of the mail.",
        example="csc-api@council.example",
    ),
    Setting(
        "NOTIFY_EMAIL_SERVER",
        Group.NOTIFY,
        SettingKind.TEXT,
        "The mail server (SMTP).",
        example="smtp.council.example",
    ),
    Setting(
        "NOTIFY_EMAIL_PORT",
        Group.NOTIFY,
        SettingKind.INTEGER,
        "The port of the mail server.",
        default_note="587 with starttls, 465 with tls, 25 with none",
        low=1,
        high=65_535,
    ),
    Setting(
        "NOTIFY_EMAIL_SECURITY",
        Group.NOTIFY,
        SettingKind.CHOICE,
        "starttls, tls (from the first byte) or none. The server's certificate is always checked. A password is never "
        "sent without encryption.",
        default="starttls",
        choices=("starttls", "tls", "none"),
    ),
    Setting(
        "NOTIFY_EMAIL_USER",
        Group.NOTIFY,
        SettingKind.TEXT,
        "The login at the mail server.",
        default_note="none: the server asks for no login",
    ),
    Setting(
        "NOTIFY_EMAIL_PASSWORD",
        Group.NOTIFY,
        SettingKind.TEXT,
        "The password of NOTIFY_EMAIL_USER. It may be kept in the credential store as well.",
        secret=True,
    ),
    Setting(
        "PING_URL",
        Group.NOTIFY,
        SettingKind.WEBHOOK,
        "The address of a check that raises an alarm when a night is missed (healthchecks.io or a similar service): "
        "the run calls /start when it begins, the address itself if all went well, /fail if it did not.",
        example="https://hc-ping.com/UUID",
        secret=True,
    ),
    Setting(
        "METRICS_FILE",
        Group.NOTIFY,
        SettingKind.PATH,
        "A file that gets the last run's times, exit code and counts in Prometheus' text format, for the textfile "
        "collector of the node or Windows exporter; its name ends in .prom. Every account may read it. xporter collect "
        "and write-back, sdr submit and validate, and each shard of a run or a collection write a file of their own "
        "beside it.",
        default_note="none",
        example="/var/lib/node_exporter/textfile/csc_api.prom",
    ),
)

"""The settings of logs, and of the files and lines that a run leaves."""

from __future__ import annotations

from api_pipeline.settings.definition import Group, Setting, SettingKind

LOGGING_SETTINGS = (
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
        "Also log to the system: syslog (Linux, macOS) or eventlog (Windows; needs the package pywin32, which the "
        "executable does not have).",
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

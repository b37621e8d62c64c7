"""The settings of pace, retries and timeouts."""

from __future__ import annotations

from api_pipeline.settings.definition import Group, Setting, SettingKind

PACE_SETTINGS = (
    Setting("BATCH_SIZE", Group.PACE, SettingKind.INTEGER, "Records in one POST.", default="100", low=1, high=100),
    Setting(
        "MAX_IN_FLIGHT", Group.PACE, SettingKind.INTEGER, "POSTs sent at the same time.", default="1", low=1, high=16
    ),
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
        "How many times one POST is tried at most if it fails with a transient error.",
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
        "The run stops and leaves the rest as it was after so many batches in a row fail because of the service.",
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
        "How long a run that a signal stops waits for the answers of requests in flight, in seconds.",
        default="20",
        low=0,
        high=3600,
    ),
)

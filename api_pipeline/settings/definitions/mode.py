"""The settings that decide what is sent: the modes, the checks of a record, the shard.

The modes and `SHARD` are settings too, because each may come from an option, the environment or the `.env` file.
"""

from __future__ import annotations

from typing import get_args

from api_pipeline.settings.definition import CheckLevel, Group, Setting, SettingKind

_CHECK: tuple[str, ...] = get_args(CheckLevel)

MODE_SETTINGS = (
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

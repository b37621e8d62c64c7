"""The settings of the school data collector (`xporter`): they stand in their own example and on their own page."""

from __future__ import annotations

import re
from collections.abc import Mapping

from api_pipeline.settings.definition import Group, Setting, SettingKind

DEFAULT_ENDPOINTS = (
    "Students+includeLeavers+includeAttStats",
    "SchoolInfo",
    "AttendanceCodes",
    "AttendanceForDateRange+includeLeavers",
    "StudentExclusions+includeLeavers",
    "SEN",
)
_ESTAB = "[0-9]{7}"
_SECRET_NAME = re.compile(rf"XPORTER_SECRET_({_ESTAB})", re.IGNORECASE)

XPORTER_SETTINGS = (
    Setting(
        "XPORTER_BASE_URL",
        Group.XPORTER,
        SettingKind.URL,
        "The base URL of the School Data API.",
        default="https://xporter.groupcall.com",
    ),
    Setting(
        "XPORTER_TOKEN_URL",
        Group.XPORTER,
        SettingKind.URL,
        "The address that gives access tokens.",
        default_note="/api/oauth/GetToken under XPORTER_BASE_URL",
    ),
    Setting(
        "XPORTER_RELYING_PARTY",
        Group.XPORTER,
        SettingKind.HEADER,
        "The id of your application at the vendor. Every command that calls the API needs it.",
        example="app.yourcouncil.example",
    ),
    Setting(
        "XPORTER_MANAGEMENT_SECRET",
        Group.XPORTER,
        SettingKind.TEXT,
        "Opens the list of schools, which says who authorised, who revoked and whose answer is pending. Without it "
        "the schools are those of XPORTER_SCHOOLS and XPORTER_SECRET_*, and the collector does not see a revocation.",
        secret=True,
    ),
    Setting(
        "XPORTER_SCHOOLS",
        Group.XPORTER,
        SettingKind.LIST,
        "Only these schools (seven digits each), with commas between.",
        default_note="every school that authorised you",
        example="9990001,9990002",
    ),
    Setting(
        "XPORTER_ENDPOINTS",
        Group.XPORTER,
        SettingKind.LIST,
        "What is collected, with commas between. Options and parameters of an endpoint follow it with + between: "
        "Students+includeLeavers, DiscountCodes+KeyStage=4. See d2i-csc-api xporter catalogue.",
        default_note="pupils, school, attendance and its codes, exclusions and SEN (docs/xporter)",
        example="Students+includeLeavers, SchoolInfo, SEN",
    ),
    Setting(
        "XPORTER_SCHEMA",
        Group.XPORTER,
        SettingKind.SCHEMA,
        "The schema of the landing tables. SQLite has none: the tables' names begin with xporter_ there.",
        default="xporter",
    ),
    Setting(
        "XPORTER_OPTIONS_STYLE",
        Group.XPORTER,
        SettingKind.CHOICE,
        "How options are sent: options (one list, as known callers do) or flags (a parameter for each, as the "
        "reference writes them).",
        default="options",
        choices=("options", "flags"),
    ),
    Setting(
        "XPORTER_PATHS",
        Group.XPORTER,
        SettingKind.LIST,
        "Other paths than those of the packaged catalogue, as Students=/api/v1/School/{estab}/Students.",
        default_note="the catalogue's",
    ),
    Setting(
        "XPORTER_SCHOOLS_AT_ONCE",
        Group.XPORTER,
        SettingKind.INTEGER,
        "How many schools get requests at the same time. One school never gets more than one request at a time.",
        default="4",
        low=1,
        high=16,
    ),
    Setting(
        "XPORTER_MIN_GAP_MS",
        Group.XPORTER,
        SettingKind.INTEGER,
        "Least time between the starts of two requests to one school, in milliseconds.",
        default="200",
        low=0,
        high=600_000,
    ),
    Setting(
        "XPORTER_READ_TIMEOUT_S",
        Group.XPORTER,
        SettingKind.NUMBER,
        "How long to wait for an answer to begin or go on, in seconds; the whole may take five times as long. Data "
        "that the vendor has not cached yet are slow.",
        default="120",
        low=0.001,
        high=3600,
    ),
    Setting(
        "XPORTER_READY_WAIT_S",
        Group.XPORTER,
        SettingKind.NUMBER,
        "How long the collector waits for data that are not ready, in seconds.",
        default="900",
        low=0,
        high=86_400,
    ),
    Setting(
        "XPORTER_READY_POLL_S",
        Group.XPORTER,
        SettingKind.NUMBER,
        "The pause between two requests for data that are not ready, in seconds.",
        default="30",
        low=0.01,
        high=3600,
    ),
    Setting(
        "XPORTER_PAGE_SIZE",
        Group.XPORTER,
        SettingKind.INTEGER,
        "Rows of a page. 0: no pages, so that one answer is one snapshot; the collector then requests pages only "
        "where the API requires them.",
        default="0",
        low=0,
        high=100_011,
    ),
    Setting(
        "XPORTER_CHANGE_SETS",
        Group.XPORTER,
        SettingKind.LIST,
        "Endpoints of which only the changes since the last collection are requested, with commas between. It saves "
        "traffic. Needs XPORTER_KEEP_UNMATCHED=true.",
        default_note="none: the whole set is requested and compared",
        example="AttendanceForDateRange",
    ),
    Setting(
        "XPORTER_FULL_EVERY_DAYS",
        Group.XPORTER,
        SettingKind.INTEGER,
        "With change sets: after how many days the whole set is requested all the same.",
        default="28",
        low=1,
        high=366,
    ),
    Setting(
        "XPORTER_ATTENDANCE_WEEKS_BACK",
        Group.XPORTER,
        SettingKind.INTEGER,
        "How many weeks before this one are requested again every night.",
        default="2",
        low=0,
        high=60,
    ),
    Setting(
        "XPORTER_ATTENDANCE_FROM",
        Group.XPORTER,
        SettingKind.DATE,
        "Earlier weeks from this day on are collected once.",
        default_note="none",
        example="2025-09-01",
    ),
    Setting(
        "XPORTER_STALE_AFTER_HOURS",
        Group.XPORTER,
        SettingKind.NUMBER,
        "xporter status has exit code 1 where a school's last complete round is older, in hours.",
        default="48",
        low=1,
        high=8760,
    ),
    Setting(
        "XPORTER_ON_REVOKED",
        Group.XPORTER,
        SettingKind.CHOICE,
        "What happens to the rows of a school that revoked its consent: purge (removed at the next collection) or "
        "report (named, and kept until somebody runs xporter schools remove).",
        default="purge",
        choices=("purge", "report"),
    ),
    Setting(
        "XPORTER_WRITE_BACK",
        Group.XPORTER,
        SettingKind.LIST,
        "What xporter write-back may write into a school's system: attendance (marks of sessions), lesson (marks of "
        "lessons), conduct, detention. The school's consent must cover it.",
        default_note="nothing",
        example="attendance, conduct",
    ),
    Setting(
        "XPORTER_CALLBACK_URL",
        Group.XPORTER,
        SettingKind.URL,
        "An address of yours that the vendor calls when a write-back has ended. With it the program uses the "
        "asynchronous calls, which need one. It does not wait for the vendor's call, because it reads again what was "
        "written.",
        default_note="none; the synchronous calls are used",
    ),
    Setting(
        "XPORTER_WRITE_BACK_SETTLE_MIN",
        Group.XPORTER,
        SettingKind.INTEGER,
        "How long to wait, in minutes, before a row without a clear answer is sent again because the school's data do "
        "not show it. The vendor tries for an hour.",
        default="75",
        low=0,
        high=10_080,
    ),
    Setting(
        "XPORTER_WRITE_BACK_CONFIRM_H",
        Group.XPORTER,
        SettingKind.INTEGER,
        "How long a row that was sent may take to appear in the school's data, in hours, before it becomes an error.",
        default="48",
        low=1,
        high=720,
    ),
    Setting(
        "XPORTER_REVOKED_GRACE_DAYS",
        Group.XPORTER,
        SettingKind.INTEGER,
        "How many days after a revocation the rows of a school are removed. The school gets no requests meanwhile.",
        default="0",
        low=0,
        high=90,
    ),
    Setting(
        "XPORTER_NEW_COLUMNS",
        Group.XPORTER,
        SettingKind.CHOICE,
        "What happens to members and tables of an answer that the catalogue does not know: extra (kept as JSON), add "
        "(a member gets a column of its own where the database allows it, else it is kept as JSON) or ignore (not "
        "landed). The table xporter_column names members in each case.",
        default="extra",
        choices=("extra", "add", "ignore"),
    ),
    Setting(
        "XPORTER_KEEP_UNMATCHED",
        Group.XPORTER,
        SettingKind.BOOLEAN,
        "false: only pupils whose UPN or former UPN is in the SSD are landed, and rows about them. true: all pupils.",
        default="false",
    ),
    Setting(
        "XPORTER_PING_URL",
        Group.XPORTER,
        SettingKind.WEBHOOK,
        "The same as PING_URL, for xporter collect, which needs a check of its own.",
        example="https://hc-ping.com/UUID",
        secret=True,
    ),
    Setting(
        "XPORTER_WRITE_BACK_PING_URL",
        Group.XPORTER,
        SettingKind.WEBHOOK,
        "The same as PING_URL, for xporter write-back.",
        example="https://hc-ping.com/UUID",
        secret=True,
    ),
)


def is_estab(text: str) -> bool:
    """Return whether a text is the number of a school: the LA code and the school's own, seven digits."""
    return re.fullmatch(_ESTAB, text) is not None


def school_secret_of(name: str) -> str | None:
    """Return the school whose secret a setting of this name holds, None where it is no such name."""
    found = _SECRET_NAME.fullmatch(name)
    return found[1] if found else None


def school_secrets(*sources: Mapping[str, str]) -> dict[str, str]:
    """Return the secrets of schools by estab; a later source beats an earlier one."""
    return {
        estab: text.strip()
        for source in sources
        for name, text in source.items()
        if (estab := school_secret_of(name)) and text.strip()
    }

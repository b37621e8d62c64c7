"""The settings of `stage`, of which `run` needs none."""

from __future__ import annotations

from api_pipeline.settings.definition import Group, Setting, SettingKind

STAGING_SETTINGS = (
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
        "How many months the window reaches back. It begins on the first day of the reporting year that contains that "
        "date.",
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
        "A table of your own with a column person_id: only these people are in the cohort.",
        default_note="no filter",
    ),
    Setting(
        "COHORT_INCLUDE_CP_PLANS",
        Group.STAGING,
        SettingKind.BOOLEAN,
        "true: children with a child protection plan in the window and nothing else are in the cohort as well.",
        default="false",
    ),
    Setting(
        "COHORT_INCLUDE_DISABLED",
        Group.STAGING,
        SettingKind.BOOLEAN,
        "true: children with a disability code and nothing else are in the cohort as well.",
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
        "true: an item that left the time window is purged at the receiver. false: only items that vanished from the "
        "SSD are purged.",
        default="false",
    ),
    Setting(
        "DELETE_LEFT_WINDOW",
        Group.STAGING,
        SettingKind.BOOLEAN,
        "true: a person who left the cohort by age or window is deleted at the receiver like any other who left. "
        "false: the receiver keeps such a person.",
        default="true",
    ),
    Setting(
        "MAX_DELETED_SHARE",
        Group.STAGING,
        SettingKind.NUMBER,
        "A staging that would delete more than this share of the rows stops and changes nothing. So does one in which "
        "20 or more parts of one kind, such as plans, and more than this share of those, are no longer in the SSD.",
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

"""The settings that name the database and the staging table."""

from __future__ import annotations

from api_pipeline.settings.definition import Group, Needed, Setting, SettingKind

DATABASE_SETTINGS = (
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
        "Instead of DB_CONNECTION_STRING: the SQL Server to log in to as the current Windows user, through the newest "
        "SQL Server ODBC driver that is installed. It needs USER_DATABASE.",
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
        "The staging table, optionally schema.table. Always set it: without it, testing mode checks another table than "
        "live mode sends.",
        default_note="ssd_api_data_staging_anon when testing, ssd_api_data_staging when live",
        example="ssd_api_data_staging",
    ),
)

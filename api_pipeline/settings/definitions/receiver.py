"""The settings that name the receiver, and the credentials for it."""

from __future__ import annotations

from api_pipeline.settings.definition import Group, Needed, Setting, SettingKind

RECEIVER_SETTINGS = (
    Setting(
        "API_ENDPOINT",
        Group.RECEIVER,
        SettingKind.URL,
        "The receiver's base URL, from DfE's portal. /children_social_care_data/{LA_CODE}/children is added unless "
        "it is there already. http:// is accepted for this machine alone.",
        example="https://receiver.example/children-in-social-care-data-receiver-test/1",
        needed=Needed.LIVE,
    ),
    Setting(
        "TOKEN_ENDPOINT",
        Group.RECEIVER,
        SettingKind.URL,
        "The address that gives access tokens: the OAuth token endpoint in DfE's portal. http:// is accepted for this "
        "machine alone.",
        example="https://login.example/TENANT/oauth2/v2.0/token",
        needed=Needed.LIVE,
    ),
    Setting("CLIENT_ID", Group.RECEIVER, SettingKind.TEXT, "The OAuth Client ID in DfE's portal.", needed=Needed.LIVE),
    Setting(
        "CLIENT_SECRET",
        Group.RECEIVER,
        SettingKind.TEXT,
        "The Native OAuth Application-flow primary or secondary key in DfE's portal. Better kept in the operating "
        "system's credential store: d2i-csc-api secrets set CLIENT_SECRET.",
        secret=True,
        needed=Needed.LIVE,
    ),
    Setting("SCOPE", Group.RECEIVER, SettingKind.TEXT, "The OAuth Scope in DfE's portal.", needed=Needed.LIVE),
    Setting(
        "SUPPLIER_KEY",
        Group.RECEIVER,
        SettingKind.HEADER,
        "The Subscription primary or secondary key in DfE's portal, sent as header SupplierKey. It may be kept in "
        "the credential store as well.",
        secret=True,
        needed=Needed.LIVE,
    ),
    Setting(
        "LA_CODE",
        Group.RECEIVER,
        SettingKind.LA_CODE,
        "The local authority's code, three digits such as 845.",
        example="845",
        needed=Needed.LIVE,
    ),
)

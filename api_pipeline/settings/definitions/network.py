"""The settings of the network: proxy, certificate authorities, user agent."""

from __future__ import annotations

from api_pipeline._version import __version__
from api_pipeline.settings.definition import Group, Setting, SettingKind

NETWORK_SETTINGS = (
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
        "The name that the program gives itself in requests.",
        default=f"d2i-csc-api/{__version__}",
    ),
)

"""`sdr test-endpoint`: the whole way to TEC, step by step, by the session and login of a submission."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from urllib.parse import urlsplit

from api_pipeline.diagnostics.network_path import walk_to_all
from api_pipeline.diagnostics.route import NETWORK_TEAM
from api_pipeline.diagnostics.steps import Report, StepFailed, StepWalk
from api_pipeline.run_summary import counted
from api_pipeline.sdr.receiver import TecReceiver
from api_pipeline.transport.proxy import check_proxy
from api_pipeline.transport.session import TransportOptions

_TEST = "test-endpoint"


def check_tec(
    receiver: TecReceiver,
    options: TransportOptions,
    addresses: Sequence[tuple[str, str]],
    timeout_s: float,
) -> Report:
    """Walk settings, DNS, TCP, proxy, TLS, login and the list of returns; stop at the first failure.

    `addresses` are TEC's and ESL's, each with what it is called here, "" for TEC.
    """
    walk = StepWalk(_TEST)
    with suppress(StepFailed):
        with walk.step("settings") as finding:
            for _, url in addresses:
                check_proxy(options.proxy_url, url)
            finding.detail = "\n".join(f"{label or 'TEC'} at {url}" for label, url in addresses)
        walk_to_all(walk, options, addresses, timeout_s)
        with walk.step("token") as finding:
            receiver.wire.log_in()
            finding.detail = f"{urlsplit(addresses[-1][1]).hostname} gave an access token"
        with walk.step("request") as finding:
            listed = counted(len(receiver.returns()), "{return|returns}")
            finding.detail = f"TEC took login and EID and lists {listed} (GET /returns, no record was sent)"
    report = walk.report()
    # The steps are those of the English service, whose users are councils.
    steps = (replace(one, advice=one.advice.replace(NETWORK_TEAM, "your network team")) for one in report.steps)
    return replace(report, steps=tuple(steps))

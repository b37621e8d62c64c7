"""Linux: a service and a timer of systemd, for the machine or for one user."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePath

from api_pipeline.errors import PipelineError, SettingsError, reason_of
from api_pipeline.schedule import tools
from api_pipeline.schedule.job import DESCRIPTION, ScheduledRun, SchedulerKind, Standing, refuse_control_signs

SYSTEM_UNITS = Path("/etc/systemd/system")
_ASKED = ("LoadState", "UnitFileState", "ActiveState", "NextElapseUSecRealtime", "LastTriggerUSec")
_ASKED_SERVICE = ("Result", "ExecMainStatus", "ExecMainExitTimestamp")
# What ProtectHome and PrivateTmp would hide from the run.
_HOMES = ("/home", "/root", "/run/user")
_TEMPORARY = ("/tmp", "/var/tmp")  # noqa: S108 - no file is made there
_SERVICE = """\
[Unit]
Description={description}
{online}# Four tries in three hours, then the unit stays failed and your monitoring sees it.
StartLimitIntervalSec=3h
StartLimitBurst=4

[Service]
Type=oneshot
{user}WorkingDirectory={folder}
ExecStart={command}
# Another run is at work (75): nothing to do.
SuccessExitStatus=75
# Tried again: the database (3) or the receiver (5) was away. 1, 2 and 4 need a person, 130 was asked for.
Restart=on-failure
RestartPreventExitStatus=1 2 4 130
RestartSec=15min
TimeoutStartSec={limit}min
# A stop lets what is in flight be written back first.
KillSignal=SIGTERM
TimeoutStopSec=5min
UMask=0077
{sandbox}"""
_SANDBOX = """\
NoNewPrivileges=yes
ProtectSystem=full
ReadWritePaths={paths}
"""
_ONLINE = "Wants=network-online.target\nAfter=network-online.target\n"
_TIMER = """\
[Unit]
Description={description}

[Timer]
{calendar}# Councils that all begin on the hour meet each other at the receiver.
RandomizedDelaySec=15min
# A start that was missed because the machine was off is made up for.
Persistent=true

[Install]
WantedBy=timers.target
"""


class Systemd:
    """Make, find and remove a service with its timer; `units` is the folder for unit files."""

    def __init__(self, units: Path, *, is_user: bool) -> None:
        self._units = units
        self._is_user = is_user
        self.kind = SchedulerKind.SYSTEMD_USER if is_user else SchedulerKind.SYSTEMD

    def text(self, job: ScheduledRun) -> str:
        """Return both unit files, each under its path. Errors: SettingsError."""
        texts = self.files(job)
        return "\n".join(f"# {self._units / name}\n{text}" for name, text in texts.items())

    def files(self, job: ScheduledRun) -> dict[str, str]:
        """Return the text of the service and of the timer by file name. Errors: SettingsError."""
        refuse_control_signs(job)
        if set(job.program[0]) & set("$'\"\\") or str(job.folder).endswith("\\"):
            raise SettingsError(
                f"systemd cannot start {job.program[0]} in {job.folder}: it takes no $, \\ or quotation mark in the "
                "program's path, and no \\ at the end of the folder; use another folder."
            )
        service = _SERVICE.format(
            description=DESCRIPTION,
            online="" if self._is_user else _ONLINE,
            user=f"User={_specified(job.account)}\n" if job.account and not self._is_user else "",
            folder=_specified(str(job.folder)),
            command=" ".join(_quoted(word) for word in job.program),
            limit=job.longest_run_min,
            sandbox="" if self._is_user else _sandbox(job),
        )
        calendar = "".join(f"OnCalendar=*-*-* {time}:00\n" for time in job.times)
        timer = _TIMER.format(description=DESCRIPTION, calendar=calendar)
        return {f"{job.name}.service": service, f"{job.name}.timer": timer}

    def install(self, job: ScheduledRun) -> Sequence[str]:
        """Write the unit files and start the timer. Errors: PipelineError."""
        tools.found("systemctl")
        try:
            self._units.mkdir(parents=True, exist_ok=True)
            for name, text in self.files(job).items():
                path = self._units / name
                path.write_text(text, encoding="utf-8", newline="\n")
                # No secret stands in it, and systemd warns of units that others cannot read.
                path.chmod(0o644)
        except OSError as error:
            raise PipelineError(
                f"The unit files could not be written to {self._units} ({reason_of(error)}); run this as root, or "
                "use --kind systemd-user."
            ) from None
        self._order("daemon-reload")
        self._order("enable", "--now", f"{job.name}.timer")
        control = "systemctl --user" if self._is_user else "systemctl"
        said = [f"systemd starts {job.name}.service at {job.starts} and up to 15 minutes later, in {job.folder}."]
        if self._is_user:
            said.append("So that it runs while nobody is logged in: loginctl enable-linger")
        return [*said, f"Try it now: {control} start {job.name}.service"]

    def standing(self, name: str) -> Standing:
        """Return what systemd knows of the timer and of the last run. Errors: PipelineError."""
        facts = self._show(f"{name}.timer", _ASKED)
        if facts.get("LoadState") != "loaded":
            return Standing(self.kind, name, is_installed=False)
        return Standing(self.kind, name, True, {**facts, **self._show(f"{name}.service", _ASKED_SERVICE)})

    def remove(self, name: str) -> bool:
        """Stop the timer and remove both unit files; return whether there were any. Errors: PipelineError."""
        paths = [self._units / f"{name}.{kind}" for kind in ("timer", "service")]
        if not any(path.exists() for path in paths):
            return False
        self._order("disable", "--now", f"{name}.timer")
        try:
            for path in paths:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise PipelineError(f"{paths[0]} could not be removed ({reason_of(error)}); run this as root.") from None
        self._order("daemon-reload")
        return True

    def _show(self, unit: str, properties: Sequence[str]) -> dict[str, str]:
        done = self._order("show", unit, f"--property={','.join(properties)}")
        pairs = (line.partition("=") for line in done.out.splitlines() if "=" in line)
        return {key: value for key, _, value in pairs if value}

    def _order(self, *arguments: str) -> tools.Done:
        return tools.order("systemctl", [*(["--user"] if self._is_user else []), *arguments])


def _sandbox(job: ScheduledRun) -> str:
    used = dict.fromkeys([job.folder, *job.writes_to])
    # The - lets the unit start although a folder is not there yet.
    text = _SANDBOX.format(paths=" ".join(_quoted_path(f"-{path}") for path in used))
    places = [*used, PurePath(job.program[0])]
    hidden = ((_HOMES, "ProtectHome=yes\n"), (_TEMPORARY, "PrivateTmp=yes\n"))
    return text + "".join(line for above, line in hidden if not any(_is_below(path, above) for path in places))


def _is_below(path: PurePath, folders: Sequence[str]) -> bool:
    return any(path.is_relative_to(folder) for folder in folders)


def _specified(text: str) -> str:
    """Return a text in which % means itself."""
    return text.replace("%", "%%")


def _quoted_path(text: str) -> str:
    """Return a path as one word of a list in a unit file."""
    return '"' + _specified(text).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _quoted(word: str) -> str:
    """Return one word of a command line, quoted only where it must be: $ and % mean themselves."""
    text = _specified(word).replace("$", "$$")
    if text and not set(text) & set(" \t\"'\\;"):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

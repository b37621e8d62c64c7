"""The workflow files: of the right form, with no more rights than they need, and calling nothing but our scripts."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from tests.support.commands import ROOT

FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
# What a job may do beyond reading: everything else is refused here until somebody has thought about it.
WRITES = {
    ("release", "publish"): {"contents": "write", "id-token": "write", "attestations": "write"},
    ("docs", "build"): {"contents": "read", "pages": "read"},
    ("docs", "deploy"): {"pages": "write", "id-token": "write"},
}
PINNED = re.compile(r"- (?:id: \w+\n +)?uses: ([\w./-]+)@([0-9a-f]{40}) # (v\d+\.\d+\.\d+)$")


def jobs() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path in FILES:
        for name, job in yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"].items():
            yield path.stem, name, job


def steps() -> Iterator[tuple[str, dict[str, Any]]]:
    for workflow, name, job in jobs():
        yield from ((f"{workflow}: {name}", step) for step in job.get("steps", []))


def script_calls() -> set[str]:
    return {step["run"] for _, step in steps() if "run" in step}


def errors_of(schema: str, files: Sequence[Path]) -> list[str]:
    """Return what check-jsonschema's schema finds; a process of its own takes longer to start than all of this."""
    found = find_spec("check_jsonschema")
    assert found is not None
    assert found.origin is not None
    path = Path(found.origin).parent / "builtin_schemas" / f"{schema}.json"
    validator = jsonschema_rs.validator_for(json.loads(path.read_text(encoding="utf-8")))
    # YAML 1.1 takes the word for a truth; GitHub does not.
    texts = [(file.name, re.sub("^on:", '"on":', file.read_text("utf-8"), flags=re.MULTILINE)) for file in files]
    return [f"{name}: {error.message}" for name, text in texts for error in validator.iter_errors(yaml.safe_load(text))]


@pytest.mark.parametrize("schema", ["vendor/github-workflows", "custom/github-workflows-require-timeout"])
def test_workflows_keep_to_githubs_schema_and_every_job_has_a_limit(schema: str, tmp_path: Path) -> None:
    assert errors_of(schema, FILES) == []
    assert len(FILES) == 5
    wrong = tmp_path / "wrong.yml"
    wrong.write_text("on: push\njobs:\n  one:\n    runs-on: 7\n    steps: []\n", encoding="utf-8")
    assert errors_of(schema, [wrong]), "a wrong type and no limit"


@pytest.mark.parametrize(
    ("schema", "pattern"),
    [
        ("dependabot", "dependabot.yml"),
        ("github-issue-config", "ISSUE_TEMPLATE/config.yml"),
        ("github-issue-forms", "ISSUE_TEMPLATE/[!c]*.yml"),
    ],
)
def test_other_files_for_github_keep_to_its_schemas(schema: str, pattern: str) -> None:
    files = sorted((ROOT / ".github").glob(pattern))
    assert files
    assert errors_of(f"vendor/{schema}", files) == []


def test_every_action_is_pinned_by_commit_with_its_version() -> None:
    pins: dict[str, set[tuple[str, str]]] = {}
    for path in FILES:
        for line in re.findall(r"^ *(?:- )?uses: .*$", path.read_text(encoding="utf-8"), re.MULTILINE):
            if "uses: ./" in line:
                continue
            found = PINNED.search("- " + line.strip().removeprefix("- "))
            assert found, f"{path.name}: {line.strip()}"
            pins.setdefault(found[1], set()).add((found[2], found[3]))
    assert pins.keys() >= {"actions/checkout", "actions/attest-build-provenance", "actions/deploy-pages"}
    assert all(len(versions) == 1 for versions in pins.values()), "one action in two versions"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_workflow_has_no_rights_but_those_of_its_jobs(path: Path) -> None:
    assert yaml.safe_load(path.read_text(encoding="utf-8"))["permissions"] == {}


def test_jobs_have_write_permission_only_where_needed() -> None:
    for workflow, name, job in jobs():
        assert job["permissions"] == WRITES.get((workflow, name), {"contents": "read"}), f"{workflow}: {name}"


def test_no_step_leaves_the_tokens_of_its_checkout_behind() -> None:
    checkouts = [step for _, step in steps() if step.get("uses", "").startswith("actions/checkout@")]

    assert len(checkouts) >= 8
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_no_untrusted_text_is_put_into_a_command() -> None:
    assert [call for call in script_calls() if "${{" in call or "\n" in call] == []
    secrets = re.findall(r"\$\{\{\s*(secrets\.\w+)", "".join(path.read_text(encoding="utf-8") for path in FILES))
    assert secrets == []


def test_every_step_calls_a_script_that_is_there() -> None:
    for call in script_calls():
        script = ROOT / call.split()[0]
        assert script.parent == ROOT / "scripts", call
        assert script.is_file(), call
        if os.name != "nt":
            assert os.access(script, os.X_OK), call
            subprocess.run(["sh", "-n", script], check=True)


def test_every_script_of_a_workflow_is_run_before_a_change_is_taken() -> None:
    here = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    here += (ROOT / "tests" / "acceptance" / "test_release.py").read_text(encoding="utf-8")

    assert [call for call in script_calls() if not re.search(rf"{re.escape(call.split()[0])}\b", here)] == []

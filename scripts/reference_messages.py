"""The list of every message on the pages of troubles, collected from the code by reading its syntax tree.

A message is found in three ways: as the first argument of an error's constructor; as a text that one of the functions
in `_SAYING` puts together; and as the argument of a warning to the log. What cannot be read so is an error here, so
that no message is forgotten.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from api_pipeline.auth.token_answer import SettingNames
from api_pipeline.errors import PipelineError
from scripts.message_owners import who_can_fix
from scripts.reference_commands import cell

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "api_pipeline"
_SDR = re.compile(r"(^|\.)sdr|simulator\.tec")
# What the school data collector says is explained on its own page.
_XPORTER = re.compile(r"xporter")

# Constructors that stand for an error without being one.
_HELPERS = {"StepFailed": None, "failure": 5, "PayloadError": 1, "UsageError": 2}
# Functions, by module, that put texts together which errors or reports pass on; each with the exit code, None for none.
_SAYING: Mapping[str, Mapping[str, int | None]] = {
    "settings.loading": {"_judged": 2, "_distrusted": 2},
    "settings.shared": {"connection_string": 2, "_ignored": None},
    "settings.env_file": {"read_env_file": 2, "_parse": None, "decoded": None, "_add_second_value": 2, "_odd_name": 2},
    "settings.safety": {"endpoint_errors": 2, "table_errors": 2, "path_errors": 2},
    "settings.values": {"refuse": 2, "missing": 2, "_has_copied_sign": 2},
    "settings.sources": {"_given_file": 2, "_one_source": 2, "_file_warnings": None, "_misnamed": None},
    "settings.near_misses": {
        "misspelt_names": None,
        "_misspelt": None,
        "unread_files": None,
        "not_read": None,
    },
    "sql.connection_slips": {
        "connection_string_slips": None,
        "structural_slips": None,
        "_brace_slips": None,
        "malformed": 3,
    },
    "sql.odbc_errors": {
        **{"_unopened": 3, "_driver_sentence": 3, "_server_sentence": 3, "_unready": 3, "_network_sentence": 3},
    },
    "sql.driver_errors": {"_sentence": 3, "LOST": 3, "_BUSY_SENTENCE": 3, "_CODE_PAGE": 3},
    "sql.native": {"MISSING_LIBRARY": 3},
    "db.hidden_tables": {"hidden_by_schema": 3},
    "diagnostics.database": {"_way_to_server": None},
    "diagnostics.rights": {"_OF_CONSTRAINT": None},
    "diagnostics.columns": {"found_elsewhere": 3},
    "diagnostics.tls": {"_remark": None, "_who_issues_so": None},
    "diagnostics.endpoint": {"_refusal_advice": 4},
    "diagnostics.receiver_answer": {"judge_page": None, "judge_record": None},
    "sql.table_comparison": {"compare": 3, "_differences": 3, "_missing": 3},
    "csc_api.answers": {"_read_receipts": None, "classify": None},
    "csc_api.client": {"_unless_repeated": None},
    "transport.single_request": {"_network_error": None, "_unusable_proxy": None, "_without_way": None},
    "transport.body": {"_body": None, "_unpacker": None, "_unpacked": None},
    "auth.token_provider": {"_fetch": None},
    "auth.token_answer": {"read_token": None, "_error": None},
    "assembly.checks": {"_goes_without_control_tables": 2, "_why_there_are_none": 2},
    "api_response": {"refused": 1},
    "delivery.planner": {"_UNSTORABLE_ID": 1},
    "logs.destinations": {"complain": None},
    "sdr.settings": {"_check": 2},
    "sdr.checks": {"id_error": 1, "_of_record": 1},
    "sdr.validation": {"hint": None},
    "commands.misplaced_secrets": {"_ADVICE": 2},
    "cli": {"_report_unforeseen": 1},
}
# First arguments of errors that say what one of those functions, or another error, said.
PASSED_ON = frozenset(
    {
        *("detail", "error", "sentence", "_failure(report)", "errors[0]", "finding.detail", "str(error)"),
        "' '.join([f'{errors[0]} ({source})', *misses])",
        "'\\n'.join(lines)",
        "' '.join(found.errors)",
        "'; '.join(hidden)",
        "_sentence(state, text, sql, shown)",
        "_sentence('HY000', text, sql, '')",
        "LOST.format(told=told)",
        "_BUSY_SENTENCE.format(told=_told(state, text, sql))",
        "_CODE_PAGE.format(told=_told(state, text, sql))",
        "MISSING_LIBRARY.format(what=library)",
        "f'{errors[0]} ({where})'",
        "explain_connection_error(error, connection_string)",
    }
)
# Parts of sentences that say nothing alone.
_FRAGMENT = re.compile(
    r"the login's default|the database server|the proxy opens|if it is a proxy|it, because|; or USER|Deltas \(USE|"
    r"^the invented child was accepted|^; and|"
    r"^The settings file(?: \.\.\. \.\.\.)?$|^The folder \.\.\. of the settings file$"
)
_LEAST_WORDS = 3
_DATABASE_CODE = 3


@dataclass(frozen=True, slots=True)
class Message:
    """What the program may say: text and advice with `...` for what differs, the module, and the exit code or None."""

    text: str
    module: str
    code: int | None
    advice: str = ""

    @property
    def who(self) -> str:
        """Say who in a council can fix it."""
        return who_can_fix(self.module, f"{self.text} {self.advice}")


class Unreadable(Exception):
    """A message that is put together in a way that nobody reads here."""


@cache
def messages() -> tuple[Message, ...]:
    """Return every message of the package, each once, but those of the two wings. Errors: Unreadable."""
    return _messages(lambda module: not (_SDR.search(module) or _XPORTER.search(module)))


@cache
def sdr_messages() -> tuple[Message, ...]:
    """Return every message of the Single Data Return, each once. Errors: Unreadable."""
    return _messages(lambda module: _SDR.search(module) is not None)


def _messages(is_meant: Callable[[str], bool]) -> tuple[Message, ...]:
    told: dict[tuple[str, str], Message] = {}
    for module, tree in _trees().items():
        if not is_meant(module):
            continue
        for message in _reader().messages_of(module, tree):
            told.setdefault((message.text, message.advice), message)
    advice = {message.advice for message in told.values()}
    advised = {message.text for message in told.values() if message.advice}
    return tuple(
        message
        for message in told.values()
        if message.text not in advice and (message.advice or message.text not in advised)
    )


@cache
def _reader() -> Reader:
    trees = _trees()
    return Reader(_constants(trees.values()), {**_exit_codes(trees), **_HELPERS})


@cache
def _trees() -> Mapping[str, ast.Module]:
    """Return the syntax tree of every module of the package, by name."""
    return {_module(path): ast.parse(path.read_text(encoding="utf-8")) for path in sorted(PACKAGE.rglob("*.py"))}


@cache
def _nodes(tree: ast.Module) -> tuple[ast.AST, ...]:
    """Return all nodes of a module: to walk a tree costs as much as to parse it, and several readers look at each."""
    return tuple(ast.walk(tree))


def shown(text: str) -> str:
    """Return a text as it stands in a table of the page."""
    return re.sub(r"([<*`\[\]{}])", r"\\\1", cell(text))


def _module(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def _exit_codes(trees: Mapping[str, ast.Module]) -> dict[str, int]:
    """Return the exit code of every class of error in the package, by name."""
    kinds: list[type[PipelineError]] = [PipelineError, *PipelineError.__subclasses__()]
    codes = {kind.__name__: kind.exit_code for kind in kinds}
    classes = [node for tree in trees.values() for node in _nodes(tree) if isinstance(node, ast.ClassDef)]
    known = 0
    while known < len(codes):
        known = len(codes)
        for node in classes:
            parent = next((base.id for base in node.bases if isinstance(base, ast.Name) and base.id in codes), None)
            if parent:
                codes.setdefault(node.name, codes[parent])
    return codes


def _constants(trees: Iterable[ast.Module]) -> dict[str, str]:
    """Return the constants of the package that hold a text, so that a message is shown with the words it has."""
    found: dict[str, str] = {}
    for tree in trees:
        for node in tree.body:
            if (
                isinstance(node, ast.Assign)
                and isinstance(node.value, ast.Constant)
                and isinstance(node.value.value, str)
            ):
                found.update({_name(target): node.value.value for target in node.targets})
    return {name: text for name, text in found.items() if name.isupper() and re.search("[a-z]", text)}


class Reader:
    """Read messages out of syntax trees. `codes` are the exit codes of constructors by name."""

    def __init__(self, constants: Mapping[str, str], codes: Mapping[str, int | None]) -> None:
        self._constants = constants
        self._codes = codes

    def messages_of(self, module: str, tree: ast.Module) -> Iterator[Message]:
        """Yield the messages of one module."""
        for node in _nodes(tree):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            name = _name(node.func)
            if name in self._codes:
                yield from self._of_constructor(module, node, self._codes[name])
            elif isinstance(node.func, ast.Call) and _name(node.func.func) == "type":
                # An error of the database that is raised again with words of where it happened.
                yield from self._of_constructor(module, node, _DATABASE_CODE)
            elif name == "warning":
                yield from (Message(text, module, None) for text in self._texts(node.args[0]) if _is_message(text))
        for name, code in _SAYING.get(module, {}).items():
            yield from (Message(text, module, code) for text in self._said_by(tree, module, name))

    def _of_constructor(self, module: str, call: ast.Call, code: int | None) -> Iterator[Message]:
        texts = [text for text in self._texts(call.args[0]) if text.strip(". ")]
        if not self._texts(call.args[0]) and ast.unparse(call.args[0]) not in PASSED_ON:
            raise Unreadable(f"{module}: {ast.unparse(call.args[0])}")
        advice = self._advice(call.args[1]) if len(call.args) > 1 else ""
        if len(call.args) > 2:
            code = _code_of(call.args[2])
        yield from (Message(text, module, code, advice) for text in texts)

    def _advice(self, node: ast.expr) -> str:
        """Return an advice, which may be a constant: a bare one is not a message by itself."""
        texts = self._texts(node) or [_plain(self._constants.get(_name(node), ""))]
        return "; or: ".join(texts).replace(".; or: ", "; or: ")

    def _said_by(self, tree: ast.Module, module: str, name: str) -> Iterator[str]:
        """Yield the texts of several words in a function, or that a constant holds."""
        places = [
            node
            for node in _nodes(tree)
            if (isinstance(node, ast.FunctionDef) and node.name == name)
            or (isinstance(node, ast.Assign) and any(_name(target) == name for target in node.targets))
        ]
        if not places:
            raise Unreadable(f"{module} has no {name} any more")
        for place in places:
            seen = {id(node.value) for node in ast.walk(place) if isinstance(node, ast.Expr)}
            for node in ast.walk(place):
                if not isinstance(node, (ast.Constant, ast.JoinedStr)) or id(node) in seen:
                    continue
                seen |= {id(part) for part in ast.walk(node)}
                yield from (text for text in self._texts(node) if _is_message(text))

    def _texts(self, node: ast.expr) -> list[str]:
        """Return the texts that an expression of literals may have, with `...` for what is put in; none for others."""
        if isinstance(node, ast.IfExp):
            return self._texts(node.body) + self._texts(node.orelse)
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return [_plain(node.value)]
        if isinstance(node, ast.JoinedStr):
            return [_plain("".join(self._part(part) for part in node.values))]
        return []

    def _part(self, part: ast.expr) -> str:
        if isinstance(part, ast.Constant):
            return str(part.value)
        assert isinstance(part, ast.FormattedValue)
        if isinstance(part.value, ast.IfExp) and isinstance(part.value.orelse, ast.Constant):
            return "" if part.value.orelse.value == "" else "..."
        if isinstance(part.value, ast.Attribute) and _name(part.value.value) == "names":
            return str(getattr(SettingNames(), part.value.attr, "..."))
        return self._constants.get(_name(part.value), "...")


def _code_of(node: ast.expr) -> int | None:
    owner = _name(node.value) if isinstance(node, ast.Attribute) else ""
    kinds = {kind.__name__: kind.exit_code for kind in PipelineError.__subclasses__()}
    return kinds.get(owner, 1 if isinstance(node, ast.Name) else None)


def _plain(text: str) -> str:
    """Return a text on one line, with three dots for each thing put in, however many stand side by side."""
    return re.sub(r"\.{6,}", "...", re.sub(r"%[sd]|\{[a-z_]+\}", "...", text)).replace(" ....", " ...").strip()


def _is_message(text: str) -> bool:
    return len(text.replace("...", " ").split()) >= _LEAST_WORDS and not _FRAGMENT.search(text)


def _name(node: ast.AST) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""

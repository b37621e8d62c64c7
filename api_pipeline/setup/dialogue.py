"""How the set-up asks. Every question has a name, by which an option can answer it beforehand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from api_pipeline.errors import SettingsError


class Dialogue(Protocol):
    """Anything that can be asked: a person at a terminal, or the options of an unattended call."""

    is_attended: bool

    def say(self, text: str) -> None:
        """Show a text."""

    def text(self, name: str, question: str, default: str = "", *, is_secret: bool = False) -> str:
        """Return an answer in words, `default` where there is none."""

    def choice(self, name: str, question: str, options: Sequence[tuple[str, str]], default: str) -> str:
        """Return the key of one of `options` (key and meaning)."""

    def confirm(self, name: str, question: str, *, default: bool) -> bool:
        """Return yes or no."""


class Unattended:
    """Answer from options alone. A question without an answer takes its default."""

    is_attended = False

    def __init__(self, answers: Mapping[str, str | bool], say: object) -> None:
        self._answers = answers
        self._say = say

    def say(self, text: str) -> None:
        """Show a text."""
        if callable(self._say):
            self._say(text)

    def text(self, name: str, question: str, default: str = "", *, is_secret: bool = False) -> str:
        """Return the option's value, or the default."""
        return str(self._answers.get(name, default))

    def choice(self, name: str, question: str, options: Sequence[tuple[str, str]], default: str) -> str:
        """Return the option's value, or the default. Errors: SettingsError for a value that is not a choice."""
        answer = str(self._answers.get(name, default))
        keys = [key for key, _ in options]
        if answer not in keys:
            raise SettingsError(f"{name}: expected one of {', '.join(keys)}, got {answer!r} (from the command line).")
        return answer

    def confirm(self, name: str, question: str, *, default: bool) -> bool:
        """Return the option's value, or the default."""
        return bool(self._answers.get(name, default))

"""How the set-up asks. Every question has a name, by which an option can answer it beforehand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from api_pipeline.errors import SettingsError


class Dialogue:
    """Answer every question by the option of its name, else by its default, for a call that nobody attends.

    A dialogue with a person overrides what happens where no option answers.
    """

    is_attended = False

    def __init__(self, answers: Mapping[str, str | bool], say: Callable[[str], None]) -> None:
        self.answers = dict(answers)
        self.say = say

    def text(self, name: str, question: str, default: str = "", *, is_secret: bool = False) -> str:
        """Return an answer in words."""
        return str(self.answers.get(name, default))

    def choice(self, name: str, question: str, options: Sequence[tuple[str, str]], default: str) -> str:
        """Return the key of one of `options` (key and meaning). Errors: SettingsError for an option with another."""
        answer = str(self.answers.get(name, default))
        keys = [key for key, _ in options]
        if answer not in keys:
            raise SettingsError(f"{name}: expected one of {', '.join(keys)}, got {answer!r} (from the command line).")
        return answer

    def confirm(self, name: str, question: str, *, default: bool) -> bool:
        """Return yes or no."""
        return bool(self.answers.get(name, default))

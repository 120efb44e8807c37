"""``Problem``: one fault that was found, in words that a newcomer can act on."""

from dataclasses import dataclass

from sse_middleware.errors import OptionError, shown
from sse_middleware.testing._framing_rules import PROFILES, RULES, Rule

__all__ = ["Problem", "checked_profile"]


@dataclass(frozen=True)
class Problem:
    r"""One fault that was found.

    ``seen`` shows what was there, its invisible characters as escapes; ``hint`` replaces the fix
    of the rule where the fault tells more.

    >>> print(Problem("SSE107", "at byte 118 (event 3)", r"'id: 7\x00'"))
    SSE107 id-with-nul at byte 118 (event 3): the id holds a NUL
      seen: 'id: 7\x00'
      fix:  send an id without NUL
    """

    code: str
    where: str
    seen: str
    hint: str = ""

    @property
    def rule(self) -> Rule:
        """The rule that was broken."""
        return RULES[self.code]

    @property
    def fix(self) -> str:
        """What to do about it."""
        return self.hint or self.rule.fix

    def __str__(self) -> str:
        rule = self.rule
        title = f"{rule.code} {rule.name} {self.where}: {rule.fault}"
        return f"{title}\n  seen: {self.seen}\n  fix:  {self.fix}"


def checked_profile(profile: str) -> str:
    """``profile``, which exists.

    Raises:
        OptionError: it does not.
    """
    if profile not in PROFILES:
        raise OptionError("profile", shown(profile), "one of " + ", ".join(PROFILES))
    return profile

"""The exceptions that stand for a mistake the user can mend."""

from __future__ import annotations


class UserError(Exception):
    """Bad input: a file, a flag, a model or a board that is not supported.

    The message is one sentence that says what is wrong and what to do. The command line prints it
    without a traceback and exits with code 2.
    """


class DivergedError(UserError):
    """A training whose loss is no longer finite: the same recipe would diverge again."""

"""The one error type that reaches a user: a sentence naming what is wrong, where, and what would mend it."""


class PalmettoError(Exception):
    """Something the user can mend: the message names the file or field and the remedy.

    The command line prints the message alone, without a traceback, and exits with `exit_code`.
    """

    exit_code = 2


class StageConflictError(PalmettoError):
    """A finished stage was made from other inputs than the ones now given; nothing was touched."""

    exit_code = 3

"""The errors that are not the code's."""

import signal


class UserError(ValueError):
    """A mistake outside the code: a parameter, a path, a file.

    The message is one line that says what is wrong, which value, which item, and what to do.
    Stages print it without a traceback and exit with status 2.
    """


class Interrupted(Exception):  # noqa: N818  # nothing went wrong: the run was asked to end
    """A signal asked the run to end, and it has; stages print the message and exit with 128 + the signal's number."""

    def __init__(self, number: int, message: str) -> None:
        super().__init__(f"{signal.Signals(number).name}: {message}")
        self.number = number

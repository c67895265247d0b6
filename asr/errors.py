"""The one kind of error that is the user's to mend."""


class UserError(ValueError):
    """A mistake outside the code: a parameter, a path, a file.

    The message is one line that says what is wrong, which value, which item, and what to do.
    Stages print it without a traceback and exit with status 2.
    """

"""What all stage scripts share: how a mistake of the user's ends."""

import errno
import os
import signal
import sys
from collections.abc import Callable

from asr.errors import Interrupted, UserError

EXIT_USER_ERROR = 2
EXIT_SIGNAL = 128
"""Plus the signal's number, as shells report it."""


DISK_REMEDIES = {
    errno.ENOSPC: "make room",
    errno.EDQUOT: "make room",
    errno.EACCES: "give access",
    errno.EPERM: "give access",
    errno.EROFS: "give write access",
}
"""A full disk and missing rights are for the user to mend, wherever they are met."""


def run(main: Callable[[], None]) -> None:
    """Calls `main`; a `UserError`, a full disk or a missing right become one line on standard error and exit status 2.

    DVC removes a stage's outputs before it starts the stage, so under DVC the line also says how to
    bring the earlier results back.
    """
    try:
        main()
    except UserError as error:
        _say(str(error))
        sys.exit(EXIT_USER_ERROR)
    except OSError as error:
        if error.errno not in DISK_REMEDIES:
            raise
        _say(f"{error.filename or 'a file'}: {error.strerror}; {DISK_REMEDIES[error.errno]} and run the stage again")
        sys.exit(EXIT_USER_ERROR)
    except Interrupted as interrupted:
        for again in (signal.SIGINT, signal.SIGTERM):
            signal.signal(again, signal.SIG_IGN)  # it has ended; nothing is left to interrupt
        print(f"stopped: {interrupted}", file=sys.stderr)
        sys.exit(EXIT_SIGNAL + interrupted.number)
    except KeyboardInterrupt:
        sys.exit(EXIT_SIGNAL + signal.SIGINT)


def _say(message: str) -> None:
    print(f"error: {message}", file=sys.stderr)
    if os.environ.get("DVC_STAGE"):
        print(
            "The results of the last good run are in DVC's cache and in Git: "
            "`git restore metrics plots && dvc checkout` brings them back.",
            file=sys.stderr,
        )

"""What all stage scripts share: how a mistake of the user's ends."""

import os
import sys
from collections.abc import Callable

from asr.errors import UserError

EXIT_USER_ERROR = 2
EXIT_INTERRUPTED = 130
"""128 + SIGINT, as shells report it."""


def run(main: Callable[[], None]) -> None:
    """Calls `main`; a `UserError` becomes one line on standard error and exit status 2.

    DVC removes a stage's outputs before it starts the stage, so under DVC the line also says how to
    bring the earlier results back.
    """
    try:
        main()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        if os.environ.get("DVC_STAGE"):
            print(
                "The results of the last good run are in DVC's cache and in Git: "
                "`git restore metrics plots && dvc checkout` brings them back.",
                file=sys.stderr,
            )
        sys.exit(EXIT_USER_ERROR)
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)

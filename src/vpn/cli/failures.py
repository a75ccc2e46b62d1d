"""What is said, and which exit code is given, when a command fails. The only place where codes are chosen.

0   done
1   a defect of ours
2   the command line is wrong
3   a value is not allowed
4   there is no such thing
5   it exists already, or its state forbids the change
6   the token is missing or wrong
7   no daemon answers, or the machine does not let us: a port in use, a file damaged, a directory not writable
130 interrupted
"""

from __future__ import annotations

import sys

from vpn.api.client import APIError, Unreachable
from vpn.cli.output import one_line
from vpn.domain.errors import Conflict, DomainError, Invalid, NotFound, Unavailable

DEFECT = 1
UNAVAILABLE = 7
INTERRUPTED = 130

_OF_DOMAIN: dict[type[DomainError], int] = {Invalid: 3, NotFound: 4, Conflict: 5, Unavailable: UNAVAILABLE}
_OF_STATUS = {400: 3, 413: 3, 422: 3, 404: 4, 409: 5, 401: 6, 403: 6, 502: UNAVAILABLE, 503: UNAVAILABLE}


def report(error: Exception, *, verbose: bool) -> int:
    """Say what went wrong and how to mend it, on standard error; returns the exit code."""
    if verbose:
        import traceback

        traceback.print_exception(error)
    match error:
        case APIError():
            code, message, hint = _OF_STATUS.get(error.status, DEFECT), error.message, error.hint
        case Unreachable():
            code, message, hint = UNAVAILABLE, error.message, error.hint
        case DomainError():
            code, message, hint = _OF_DOMAIN[type(error)], error.message, error.hint
        case _:
            what = next(iter(str(error).splitlines()), "")
            code, message = DEFECT, f"internal error: {type(error).__name__}: {what}"
            hint = "run it again with --verbose to see where, and tell us"
    # A message can come from a server: nothing in it may move the cursor.
    said = [one_line(line) for line in [*message.splitlines(), hint]]
    print("vpn: " + "\n     ".join(said), file=sys.stderr)
    return code

"""What can be wrong with what a person asked for.

    DomainError
    ├── Invalid         a value that is not allowed
    ├── NotFound        a name that nothing bears
    ├── Conflict        a name that is taken, or a state that forbids the change
    └── Unavailable     the machine does not let us: a port in use, a directory not writable, a damaged file

Each carries what went wrong and how to mend it, in words for a person. What they mean as an HTTP status
is decided in api/errors.py, and as an exit code in cli/failures.py.
"""


class DomainError(Exception):
    """Something a person can mend.

    Args:
        code: short and stable, for programs, e.g. ``user_exists``.
        message: one sentence: what is wrong, and where.
        hint: one sentence: how to mend it.
    """

    def __init__(self, code: str, message: str, hint: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint


class Invalid(DomainError):
    """A value that is not allowed."""


class NotFound(DomainError):
    """A name that nothing bears."""


class Conflict(DomainError):
    """A name that is taken, or a state that forbids the change."""


class Unavailable(DomainError):
    """The machine does not let us."""

"""The exception that stands for a user's mistake, and its one special case."""


class UserError(ValueError):
    """A mistake that the user can mend; the message says what was got, what was expected and what to do."""


class MissingCheckpoint(UserError):
    """A trained network that is neither in the repository nor in a run; the message says how to train it."""

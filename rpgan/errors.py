"""The one exception that stands for a user's mistake."""


class UserError(ValueError):
    """A mistake that the user can mend; the message says what was got, what was expected and what to do."""

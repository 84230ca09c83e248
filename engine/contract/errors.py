"""Errors that are told to a person."""


class UserError(Exception):
    """A mistake or mishap told to the person: what happened, why, what to do."""

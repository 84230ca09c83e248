"""Errors that are told to a person."""


class UserError(Exception):
    """A mistake or mishap told to the person: what happened, why, what to do."""


class UnreachableError(UserError):
    """Something that has to be fetched, and cannot be from here: no network, or a mirror without it."""

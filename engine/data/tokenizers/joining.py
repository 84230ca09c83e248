"""Where a space stands between two words when a text is put together again."""

_CLINGS_TO_THE_LEFT = frozenset(".,;:!?…)]}»%")
_CLINGS_TO_THE_RIGHT = frozenset("([{«¿¡")


def space_between(before: str, word: str) -> str:
    """A space, or nothing before a mark such as a comma and after an opening bracket."""
    return "" if word in _CLINGS_TO_THE_LEFT or before in _CLINGS_TO_THE_RIGHT else " "

"""torchtty: a playground for small neural networks in a terminal."""


def __getattr__(name: str) -> str:
    """Return `__version__`, which is looked up only when it is asked for."""
    if name != "__version__":
        raise AttributeError(f"module 'torchtty' has no attribute {name!r}")
    from importlib.metadata import version

    return version("torchtty")

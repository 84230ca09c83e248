"""`torchtty --version`."""

from importlib import metadata


def installed(name: str) -> str | None:
    """Return the version of an installed package without importing it, None if it is not there."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def version() -> int:
    print(f"torchtty {installed('torchtty') or 'from a folder that is not installed'}")
    return 0

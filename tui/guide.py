"""The pages of the guide, which the help shows and `torchtty guide` prints."""

from importlib import resources

PAGES = {
    "keys": "The app",
    "lenses": "Lenses",
    "learn": "Learn",
    "data": "Data",
    "runs": "Runs",
    "steering": "Steering",
    "groups": "Groups",
    "statistics": "Seeds and statistics",
    "diagnosis": "Diagnosis",
    "exporting": "Exporting",
    "gpus": "GPUs",
    "command-line": "Commands",
    "settings-and-variables": "Settings",
    "experiments": "Experiments",
    "measurements": "Measurements",
    "stopping": "Stopping, test split",
}
"""The pages by name, in the order in which they are read, with their short titles."""


def read_page(name: str) -> str:
    """Return a page as Markdown."""
    return (resources.files("torchtty.assets") / "guide" / f"{name}.md").read_text(encoding="utf-8")

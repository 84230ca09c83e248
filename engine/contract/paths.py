"""The folders of runs, downloads, the state that workers on one machine share, and a person's settings."""

import os
from pathlib import Path

SOURCE_ROOT = Path(__file__).resolve().parents[2]


def runs_folder() -> Path:
    """Return the folder of the runs: `TORCHTTY_RUNS`, or `checkpoints/` of a source checkout, or the user's data folder."""
    if chosen := os.environ.get("TORCHTTY_RUNS"):
        return Path(chosen).expanduser().absolute()
    checkout = SOURCE_ROOT / "checkpoints"
    if (checkout / "README.md").is_file():
        return checkout
    from platformdirs import user_data_path

    return user_data_path("torchtty") / "checkpoints"


def data_folder() -> Path:
    """Return the folder of downloaded datasets: `TORCHTTY_DATA` or the user's cache."""
    if chosen := os.environ.get("TORCHTTY_DATA"):
        return Path(chosen).expanduser().absolute()
    from platformdirs import user_cache_path

    return user_cache_path("torchtty") / "data"


def state_folder() -> Path:
    """Return the folder of device locks and of what the app remembers: `TORCHTTY_STATE` or the user's state folder."""
    if chosen := os.environ.get("TORCHTTY_STATE"):
        return Path(chosen).expanduser().absolute()
    from platformdirs import user_state_path

    return user_state_path("torchtty")


def config_folder() -> Path:
    """Return the folder of the settings that a person writes: `TORCHTTY_CONFIG` or the user's configuration folder."""
    if chosen := os.environ.get("TORCHTTY_CONFIG"):
        return Path(chosen).expanduser().absolute()
    from platformdirs import user_config_path

    return user_config_path("torchtty")

"""What many write short: the usual abbreviations of settings, which stand for their names wherever a person types one."""

ABBREVIATIONS = {
    "lr": "learning_rate",
    "wd": "weight_decay",
    "bs": "batch_size",
    "layers": "n_layer",
    "heads": "n_head",
}


def written_out(name: str) -> str:
    """Return the name of the setting that an abbreviation stands for; any other name as it is."""
    return ABBREVIATIONS.get(name, name)

"""The texts that come with the installation and need no network."""

import importlib
import pkgutil
import re
from importlib import metadata, resources

from torchtty.engine.contract.paths import data_folder
from torchtty.engine.contract.run.files import write_atomically
from torchtty.engine.contract.settings.catalogue import Dataset

# a to z with dashes and apostrophes between letters.
_PLAIN_NAME = re.compile(r"[a-z]+(?:[-'][a-z]+)*")
# `en` belongs to no country: it repeats the countries' lists, and only newer versions of Faker fill it.
_SKIPPED_LOCALES = {"en"}


def embedded_text(dataset: Dataset) -> str:
    """The text of an embedded dataset; items stand one a line."""
    if dataset.source == "file":
        return resources.files("torchtty.assets").joinpath("words", dataset.file).read_text(encoding="utf-8").strip()
    return {"given-names": given_names, "python-docs": python_docs}[dataset.name]()


def given_names() -> str:
    """Faker's given names of all countries that are spelt with a to z, in small letters, sorted, one a line.

    Reading them takes about a second, so they are kept in the data folder, one file a version of Faker.
    """
    kept = data_folder() / f"given-names-faker-{metadata.version('faker')}.txt"
    try:
        text = kept.read_text(encoding="utf-8")
        if all(_PLAIN_NAME.fullmatch(name) for name in text.split("\n")):
            return text
    except (OSError, UnicodeDecodeError):
        pass
    text = "\n".join(sorted(_faker_given_names()))
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(kept, text)
    except OSError:
        pass  # a data folder that cannot be written costs a second next time, nothing else
    return text


def python_docs() -> str:
    """The language reference that Python's `help()` shows, its topics in alphabetical order."""
    from pydoc_data.topics import topics

    return "\n".join(topics[name] for name in sorted(topics))


def _faker_given_names() -> set[str]:
    # The lists are class attributes: making a Faker for every locale would load all its other providers too.
    import faker.providers.person as person

    names: set[str] = set()
    for locale in pkgutil.iter_modules(person.__path__):
        if locale.name in _SKIPPED_LOCALES:
            continue
        provider = importlib.import_module(f"{person.__name__}.{locale.name}").Provider
        for attribute in dir(provider):
            listed = getattr(provider, attribute)
            if attribute.startswith("first_names") and isinstance(listed, list | tuple | dict | set):
                names.update(name.strip().lower().replace("’", "'") for name in listed if isinstance(name, str))
    return {name for name in names if _PLAIN_NAME.fullmatch(name)}

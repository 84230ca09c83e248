"""`torchtty guide`: a page of the guide on the terminal, or as Markdown where the output is no terminal."""

from rich.table import Table

from torchtty.tui.cli.console import Exit, UsageError, output
from torchtty.tui.guide import PAGES, read_page
from torchtty.tui.markdown import Page


def guide(page: str | None) -> int:
    """Print a page, or list the pages; return the exit code."""
    console = output()
    if page is None:
        table = Table.grid(padding=(0, 2, 0, 0))
        for name, title in PAGES.items():
            table.add_row(name, title)
        console.print(table)
        return Exit.DONE
    if page not in PAGES:
        raise UsageError(f"The guide has no page called '{page}'. The pages are {', '.join(PAGES)}.")
    if console.is_terminal:
        console.print(Page(read_page(page)))
    else:
        print(read_page(page), end="")
    return Exit.DONE

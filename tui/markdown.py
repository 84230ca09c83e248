"""Markdown as the help and the command line show it. Importing it takes 0.2 s: import it when a page is wanted."""

from typing import ClassVar

from rich.console import Console, ConsoleOptions, RenderResult
from rich.markdown import CodeBlock, Heading, Markdown, MarkdownElement, TableElement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text
from rich.theme import Theme

THEME = Theme({"markdown.code": "cyan", "markdown.code_block": "cyan", "markdown.link": "", "markdown.link_url": ""})


class Page:
    """A text in Markdown, rendered for whatever width there is."""

    def __init__(self, text: str) -> None:
        self._markdown = _Markdown(text, hyperlinks=False)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        with console.use_theme(THEME):
            yield from console.render(self._markdown, options)


class _Heading(Heading):
    """A heading at the left, in bold."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if self.tag != "h1":
            yield Text("")
        yield Text(self.text.plain, "bold underline" if self.tag == "h1" else "bold")


class _Code(CodeBlock):
    """Lines to type, indented and never wrapped."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Padding(Text(str(self.text).rstrip(), "markdown.code_block", no_wrap=True, overflow="ellipsis"), (0, 2))


class _Table(TableElement):
    """A table whose cells are folded where there is no room, so that no figure is cut."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for table in super().__rich_console__(console, options):
            assert isinstance(table, Table)
            for column in table.columns:
                column.overflow = "fold"
            yield table


class _Markdown(Markdown):
    elements: ClassVar[dict[str, type[MarkdownElement]]] = Markdown.elements | {
        "heading_open": _Heading,
        "table_open": _Table,
        "code_block": _Code,
        "fence": _Code,
    }

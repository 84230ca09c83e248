"""Pictures as characters: laid out for the room there is, in colours or in shades."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from torchtty.engine.contract.run.events import GAP_KEY, TILE_KEY
from torchtty.tui.images.protocol import Protocol, chosen
from torchtty.tui.images.sheet import Layout, Unreadable, half_blocks, layout, shades, sheet, tiles


def grid_file(path: Path, *colours: str, tile: int = 8) -> Path:
    """A grid of plain pictures, one beside the other, that says how it is divided."""
    grid = Image.new("RGB", (len(colours) * (tile + 2) - 2, tile))
    for place, colour in enumerate(colours):
        grid.paste(colour, (place * (tile + 2), 0, place * (tile + 2) + tile, tile))
    about = PngInfo()
    about.add_text(TILE_KEY, str(tile))
    about.add_text(GAP_KEY, "2")
    grid.save(path, pnginfo=about)
    return path


class TestSheets:
    def test_a_grid_is_taken_apart_as_it_says(self, tmp_path: Path) -> None:
        pictures = tiles(grid_file(tmp_path / "a.png", "red", "lime", "blue"))
        assert [picture.getpixel((4, 4)) for picture in pictures] == [(255, 0, 0), (0, 255, 0), (0, 0, 255)]

    def test_a_picture_that_says_nothing_is_one(self, tmp_path: Path) -> None:
        Image.new("L", (30, 20)).save(tmp_path / "a.png")
        assert [picture.size for picture in tiles(tmp_path / "a.png")] == [(30, 20)]

    def test_what_is_no_picture_is_said_to_be_unreadable(self, tmp_path: Path) -> None:
        (tmp_path / "a.png").write_bytes(b"\x89PNG half a fi")
        with pytest.raises(Unreadable, match=r"a\.png cannot be read"):
            tiles(tmp_path / "a.png")
        with pytest.raises(Unreadable):
            tiles(tmp_path / "none.png")

    @given(st.integers(1, 256), st.integers(8, 64), st.integers(1, 300), st.integers(1, 200), st.sampled_from([1, 4]))
    def test_a_layout_fits_its_room(self, count: int, size: int, width: int, height: int, scale: int) -> None:
        found = layout(count, size, width, height, scale)
        assert found.width <= width
        assert found.height <= height
        assert found.columns * found.rows >= 1
        assert (found.rows - 1) * found.columns < count  # no row is empty

    def test_all_are_shown_where_they_can_be_told_apart(self) -> None:
        assert layout(64, 32, 200, 110) == layout(64, 32, 200, 110)
        roomy = layout(64, 32, 200, 110)
        assert roomy.columns * roomy.rows >= 64
        assert roomy.size >= 11
        tight = layout(64, 32, 60, 30)
        assert tight.columns * tight.rows < 64
        assert tight.size >= 8

    def test_small_pictures_are_shown_all_as_large_as_they_are_or_enlarged_whole_times(self) -> None:
        assert layout(64, 8, 72, 72) == Layout(8, 8, 8), "they are not worth less for being small"
        assert layout(64, 8, 150, 150).size == 16
        assert layout(64, 8, 110, 110).size == 8, "12 would blur them"
        assert layout(64, 8, 72, 40).columns * layout(64, 8, 72, 40).rows == 32

    def test_a_sheet_counts_what_it_has_room_for(self) -> None:
        pictures = [Image.new("RGB", (8, 8), "red")] * 64
        assert sheet(pictures, 72, 40).shown == 32
        assert sheet(pictures, 72, 80).shown == 64

    def test_a_sheet_keeps_every_picture_s_colours(self) -> None:
        drawn = sheet([Image.new("RGB", (16, 16), "red"), Image.new("RGB", (16, 16), "blue")], 40, 20).image
        assert drawn.getpixel((3, 3)) == (255, 0, 0)
        assert drawn.getpixel((drawn.width - 3, 3)) == (0, 0, 255)


class TestBlocks:
    def test_a_cell_holds_two_pixels(self) -> None:
        picture = Image.fromarray(np.array([[[248, 0, 0], [8, 8, 8]], [[0, 0, 248], [8, 8, 8]]], np.uint8))
        (line,) = half_blocks(picture)
        assert [segment.text for segment in line] == ["▀", " "]
        style = line[0].style
        assert style is not None
        assert style.color is not None
        assert style.bgcolor is not None
        assert style.color.triplet == (248, 0, 0)
        assert style.bgcolor.triplet == (0, 0, 248)

    @given(st.integers(1, 30), st.integers(1, 31))
    def test_every_line_is_as_wide_as_the_picture(self, width: int, height: int) -> None:
        pixels = np.random.default_rng(width * height).integers(0, 256, (height, width, 3), np.uint8)
        for lines in (half_blocks(Image.fromarray(pixels)), shades(Image.fromarray(pixels))):
            assert len(lines) == (height + 1) // 2
            assert {sum(segment.cell_length for segment in line) for line in lines} == {width}

    def test_shades_grow_with_brightness_and_need_no_colour(self) -> None:
        ramp = Image.fromarray(np.linspace(0, 255, 5).astype(np.uint8)[None].repeat(2, 0))
        assert shades(ramp)[0][0].text == " ░▒▓█"
        assert shades(ramp, inverted=True)[0][0].text == "█▓▒░ "
        assert shades(ramp, ascii_only=True)[0][0].text.isascii()
        assert shades(ramp)[0][0].style is None


class TestProtocol:
    @pytest.mark.parametrize(
        ("environment", "protocol"),
        [
            ({"TERM": "xterm-256color"}, Protocol.BLOCKS),
            ({"TERM": "xterm-kitty"}, Protocol.KITTY),
            ({"TERM": "xterm-256color", "KITTY_WINDOW_ID": "1"}, Protocol.KITTY),
            ({"TERM": "xterm-ghostty"}, Protocol.KITTY),
            ({"TERM": "xterm-256color", "TERM_PROGRAM": "WezTerm"}, Protocol.SIXEL),
            ({"TERM": "xterm-256color", "ITERM_SESSION_ID": "w0"}, Protocol.SIXEL),
            ({"TERM": "foot"}, Protocol.SIXEL),
            ({"TERM": "tmux-256color", "TMUX": "/tmp/x", "KITTY_WINDOW_ID": "1"}, Protocol.BLOCKS),
            # Started from a terminal with graphics, and none itself.
            ({"TERM": "xterm-256color", "TERM_PROGRAM": "vscode", "ITERM_SESSION_ID": "w0"}, Protocol.BLOCKS),
            ({"TERM": "alacritty", "ALACRITTY_WINDOW_ID": "1", "KITTY_WINDOW_ID": "1"}, Protocol.BLOCKS),
            ({"TERM": "xterm-kitty", "TEXTUAL_DRIVER": "textual.drivers.web_driver:WebDriver"}, Protocol.BLOCKS),
        ],
    )
    def test_the_environment_names_it(self, environment: dict[str, str], protocol: Protocol) -> None:
        assert chosen(environment) is protocol

    def test_a_person_has_the_last_word(self) -> None:
        kitty = {"TERM": "xterm-kitty"}
        assert chosen(kitty | {"TORCHTTY_IMAGES": "Sixel"}) is Protocol.SIXEL
        assert chosen(kitty | {"TORCHTTY_IMAGES": "off", "TMUX": "/tmp/x"}) is Protocol.OFF
        assert chosen(kitty | {"TORCHTTY_IMAGES": "auto"}) is Protocol.KITTY
        assert chosen(kitty | {"TORCHTTY_IMAGES": "nonsense"}) is Protocol.KITTY

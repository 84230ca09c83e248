"""A plot as SVG, readable on light and on dark pages, and as PNG."""

import io
from html import escape
from typing import Any

from torchtty.tui.charts.plot import Plot, Stroke, Words
from torchtty.tui.charts.style import faded

TONES = {  # the parts of a chart, on a light page and on a dark one
    "paper": ("#ffffff", "#14161a"),
    "text": ("#24272e", "#e6e6e6"),
    "label": ("#5c6370", "#a5abb5"),
    "grid": ("#e9ebee", "#262a31"),
    "axis": ("#9aa1ac", "#6b7280"),
    "reference": ("#8a919c", "#868d98"),
    "mark": ("#7b828e", "#9aa1ac"),
}
INK = 0.16  # how much darker a curve's colour is on a light page than on a dark screen, for which the palette is made
FADED = 0.35  # what remains of a colour of the raw points beneath a smoothed curve
TYPEFACE = "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', Helvetica, Arial, sans-serif"
STYLE = (
    f"text{{font-family:{TYPEFACE}}}polyline{{fill:none;stroke-linejoin:round;stroke-linecap:round}}"
    ".backed{paint-order:stroke;stroke-width:4px;stroke-linejoin:round}"
)
SCALE, OVERSAMPLED = 2, 2  # pixels of the PNG a pixel of the plot, and how much larger it is drawn before


def svg(plot: Plot) -> str:
    """Write a plot as an SVG document without scripts, links or fonts from elsewhere; its colours follow the reader's."""
    tones = list(dict.fromkeys(stroke.tone for stroke in plot.strokes if stroke.tone not in TONES))
    names = {tone: f"curve-{number}" for number, tone in enumerate(tones)} | {tone: tone for tone in TONES}
    light = _rules({names[tone]: pair[0] for tone, pair in TONES.items()} | {names[t]: _inked(t) for t in tones})
    dark = _rules({names[tone]: pair[1] for tone, pair in TONES.items()} | {names[t]: t for t in tones})
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {plot.width} {plot.height}" width="{plot.width}" '
        f'height="{plot.height}" role="img">',
        f"<title>{_escaped(plot.title)}</title>",
        f"<style>{STYLE}{light}@media (prefers-color-scheme:dark){{{dark}}}</style>",
        f'<rect class="paper" width="{plot.width}" height="{plot.height}"/>',
        *(_polyline(stroke, names[stroke.tone]) for stroke in plot.strokes),
        *(_text(words) for words in plot.words),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _rules(colours: dict[str, str]) -> str:
    found = []
    for name, colour in colours.items():
        if name in ("text", "label"):
            found.append(f".{name}{{fill:{colour}}}")
        elif name == "paper":
            found.append(f".paper{{fill:{colour}}}.backed{{stroke:{colour}}}")
        else:
            found.append(f".{name}{{stroke:{colour}}}")
    return "".join(found)


def _polyline(stroke: Stroke, name: str) -> str:
    places = " ".join(f"{x:g},{y:g}" for x, y in stroke.places)
    dashes = f' stroke-dasharray="{" ".join(f"{dash:g}" for dash in stroke.dashes)}"' if stroke.dashes else ""
    opacity = f' stroke-opacity="{FADED}"' if stroke.faded else ""
    return f'<polyline class="{name}" stroke-width="{stroke.width:g}"{dashes}{opacity} points="{places}"/>'


def _text(words: Words) -> str:
    x, y = words.place
    turned = "" if words.upright else f' transform="rotate(-90 {x:g} {y:g})" dominant-baseline="hanging"'
    weight = ' font-weight="600"' if words.bold else ""
    classes = f"{words.tone} backed" if words.backed else words.tone
    anchor = f' text-anchor="{words.anchor}"' if words.anchor != "start" else ""
    about = f'class="{classes}" x="{x:g}" y="{y:g}" font-size="{words.size:g}"{anchor}{weight}{turned}'
    return f"<text {about}>{_escaped(words.text)}</text>"


def _escaped(text: str) -> str:
    """Escape a text for XML, which has no place for control characters at all."""
    return escape("".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text))


def _inked(colour: str) -> str:
    return faded(colour, "#000000", INK)


def png(plot: Plot) -> bytes:
    """Draw a plot as a PNG on a light page, two pixels a pixel of the plot; drawn larger and scaled down for smooth edges."""
    from PIL import Image, ImageDraw

    size = SCALE * OVERSAMPLED
    picture = Image.new("RGB", (plot.width * size, plot.height * size), TONES["paper"][0])
    draw = ImageDraw.Draw(picture)
    for stroke in plot.strokes:
        colour = TONES[stroke.tone][0] if stroke.tone in TONES else _inked(stroke.tone)
        colour = faded(colour, TONES["paper"][0], 1 - FADED) if stroke.faded else colour
        places = [(x * size, y * size) for x, y in stroke.places]
        width = max(1, round(stroke.width * size))
        if stroke.dashes:
            _dashed(draw, places, colour, width, [dash * size for dash in stroke.dashes])
        else:
            draw.line(places, colour, width, joint="curve")
            if stroke.tone not in TONES:
                _rounded_ends(draw, places, colour, width)
    for words in plot.words:
        _write(picture, draw, words, size)
    smaller = picture.resize((plot.width * SCALE, plot.height * SCALE), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    smaller.save(file, "PNG", optimize=True)
    return file.getvalue()


def _dashed(draw: Any, places: list[tuple[float, float]], colour: str, width: int, dashes: list[float]) -> None:
    """Draw a straight line, along or down, in dashes."""
    (x, y), (to_x, to_y) = places
    along, end = (x, to_x) if y == to_y else (y, to_y)
    while along < end:
        stop = min(along + dashes[0], end)
        draw.line([(along, y), (stop, y)] if y == to_y else [(x, along), (x, stop)], colour, width)
        along += sum(dashes)


def _rounded_ends(draw: Any, places: list[tuple[float, float]], colour: str, width: int) -> None:
    for x, y in (places[0], places[-1]):
        draw.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), fill=colour)


def _write(picture: Any, draw: Any, words: Words, size: int) -> None:
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(words.size * size)
    place = (words.place[0] * size, words.place[1] * size)
    colour, paper = TONES[words.tone][0], TONES["paper"][0]
    anchor = {"start": "l", "middle": "m", "end": "r"}[words.anchor]
    outline = {"stroke_width": 2 * size, "stroke_fill": paper} if words.backed else {}
    if words.bold:  # the typeface that Pillow brings has one weight
        outline = {"stroke_width": round(0.02 * words.size * size), "stroke_fill": colour}
    if words.upright:
        draw.text(place, words.text, fill=colour, font=font, anchor=f"{anchor}s", **outline)
        return
    wide, high = round(font.getlength(words.text)) + 2, round(words.size * size * 1.4)
    turned = Image.new("RGB", (wide, high), paper)
    ImageDraw.Draw(turned).text((1, high * 0.75), words.text, fill=colour, font=font, anchor="ls")
    turned = turned.rotate(90, expand=True)
    picture.paste(turned, (round(place[0] - high * 0.1), round(place[1] - wide / 2)))

"""From bytes to text: UTF-8, UTF-16, UTF-32, and older encodings as far as they can be told from the bytes."""

import codecs
import re
from dataclasses import dataclass

from torchtty.engine.contract.errors import UserError

# Older encodings that are looked for. UTF-16 and UTF-32 show by their marks and zeros, and are not guessed at.
_OLDER = (
    *("cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "koi8_r", "cp866", "cp850"),
    *("mac_roman", "iso8859_2", "cp932", "euc_jp", "gb18030", "big5", "cp949"),
)
_WESTERN = "cp1252"  # Latin-1 and more: by far the commonest of them
_AS_CLEAN, _AS_COHERENT = 0.02, 0.15  # how far behind the best guess the western one may be and is taken all the same
_EVIDENCE = 2**16  # bytes that are looked at
_PIECE = 2**9  # bytes from the first that is not ASCII
_BEYOND_ASCII, _BLANK = re.compile(rb"[\x80-\xff]"), re.compile(rb"[ \n]")
_ZEROS = 0.5  # of every second byte: the least in UTF-16
_STRAY_SHARE = 0.01  # of a text's characters beyond ASCII: fewer broken ones are damage, not another encoding
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark begins the same
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_TITLES = {"cp1252": "Windows-1252 (Latin-1)", "latin-1": "Latin-1", "iso8859-1": "Latin-1", "gb18030": "GB 18030"}


@dataclass(frozen=True, slots=True)
class Decoded:
    """A text with `\\n` line ends, how it was encoded, and sentences for a person about what was changed."""

    text: str
    encoding: str
    notes: tuple[str, ...] = ()


def title_of(encoding: str) -> str:
    """Name an encoding as a person knows it."""
    name = encoding.replace("_", "-")
    return _TITLES.get(encoding) or (f"Windows-{name[2:]}" if name.startswith("cp125") else name.upper())


def decode_text(data: bytes, name: str, encoding: str = "auto", *, is_whole: bool = True) -> Decoded:
    """Decode a text; `name` is what an error calls it. What is not `is_whole` may end within a character.

    `auto` takes the byte-order mark's word, then UTF-8, where a broken byte among a hundred characters beyond ASCII becomes
    U+FFFD, then UTF-16 without a mark, and then what charset-normalizer finds among the older encodings.
    Raises a `UserError` for bytes that are no text, or not in the encoding that was asked for, and for a blank text.
    """
    notes = []
    mark, marked = next(((mark, kind) for mark, kind in _MARKS if data.startswith(mark)), (b"", ""))
    if marked and encoding in ("auto", marked, marked[:6]):
        data = data[len(mark) :]
        if marked == "utf-8":
            notes.append("The byte-order mark at the start was left out.")
        encoding = marked
    if encoding == "auto":
        found, text = _told(data, name, is_whole=is_whole)
        if "\ufffd" in text and found == "utf-8" and (strays := text.count("\ufffd") - data.count(b"\xef\xbf\xbd")):
            notes.append(f"{strays:,} broken byte{'s' * (strays != 1)} became the sign � (U+FFFD).")
    else:
        found, text = encoding, _decoded(data, name, encoding, is_whole=is_whole)
    if found not in ("utf-8", "ascii"):
        notes.append(f"Read as {title_of(found)}. If that is wrong, set data.encoding.")
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        notes.append("Carriage returns were turned into newlines.")
    if not text.strip():
        raise UserError(f"{name} is empty. Give a file with text in it.")
    return Decoded(text, found, tuple(notes))


def _told(data: bytes, name: str, *, is_whole: bool) -> tuple[str, str]:
    """Return the encoding of a text that has no mark, and the text."""
    if (position := data.find(0)) >= 0:
        wide = _wide(data)
        if not wide:
            raise UserError(f"{name} is not text: byte {position:,} is NUL, as in a binary file. Give a text file.")
        return wide, _decoded(data, name, wide, is_whole=is_whole)
    try:
        return "utf-8", _lenient(data, "utf-8", "strict", is_whole=is_whole)
    except UnicodeDecodeError as error:
        first = error.start
    text = _lenient(data, "utf-8", "replace", is_whole=is_whole)
    beyond_ascii = len(text) - len(text.encode("ascii", "ignore"))
    if text.count("\ufffd") <= _STRAY_SHARE * beyond_ascii:
        return "utf-8", text
    for encoding in _guesses(data):
        try:
            return encoding, _lenient(data, encoding, "strict", is_whole=is_whole)
        except UnicodeDecodeError:
            continue
    raise UserError(
        f"{name} is not text that can be told: byte {first:,} is 0x{data[first]:02x}, as in a binary file or a rare encoding. "
        "Give a text file, or name its encoding in data.encoding, such as latin-1."
    )


def _wide(data: bytes) -> str:
    """Tell UTF-16 without a mark by its zeros: of text in western letters every second byte is one. Empty if it is none."""
    sample = data[: _EVIDENCE & ~1]
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    half = max(1, len(sample) // 2)
    if odd > _ZEROS * half and even < 0.02 * half:
        return "utf-16-le"
    return "utf-16-be" if even > _ZEROS * half and odd < 0.02 * half else ""


def _guesses(data: bytes) -> list[str]:
    """List the older encodings in which the bytes make sense, the likeliest first."""
    from charset_normalizer import from_bytes  # here: only texts that are no UTF-8 need it

    evidence = _evidence(data)
    for end in range(len(evidence), max(0, len(evidence) - 4), -1):  # its last character may be cut through
        if matches := list(from_bytes(evidence[:end], cp_isolation=list(_OLDER))):
            break
    else:
        return []
    best = matches[0]
    for match in matches:
        is_western = match.encoding == _WESTERN or _WESTERN in match.could_be_from_charset
        if is_western and match.chaos <= best.chaos + _AS_CLEAN and match.coherence >= best.coherence - _AS_COHERENT:
            return [_WESTERN, *(other.encoding for other in matches if other.encoding != _WESTERN)]
    return [match.encoding for match in matches]


def _evidence(data: bytes) -> bytes:
    """Return pieces of a text that hold bytes beyond ASCII: in a long one they may be rare, and they alone tell.

    Pieces begin and end at white space, which is never a part of a longer character.
    """
    if len(data) <= _EVIDENCE:
        return data
    pieces, taken, here = [], 0, 0
    while taken < _EVIDENCE and (found := _BEYOND_ASCII.search(data, here)):
        blank = max(data.rfind(sign, here, found.start()) for sign in (b" ", b"\n"))
        begin = max(here, blank + 1)
        end = _BLANK.search(data, begin + _PIECE, begin + _EVIDENCE)
        here = end.start() if end else begin + _EVIDENCE
        pieces.append(data[begin:here])
        taken += len(pieces[-1])
    return b"\n".join(pieces)


def _decoded(data: bytes, name: str, encoding: str, *, is_whole: bool) -> str:
    """Decode in the one encoding that it can be; raise a `UserError` that names the first byte which cannot."""
    try:
        return _lenient(data, encoding, "strict", is_whole=is_whole)
    except LookupError:
        raise UserError(
            f"data.encoding: there is no encoding called '{encoding}'. Take auto, or a name such as utf-8, latin-1 or cp1251."
        ) from None
    except UnicodeError as error:
        start = getattr(error, "start", 0)
        raise UserError(
            f"{name} is not {title_of(encoding)}: byte {start:,} cannot be read. Set data.encoding to auto, or to its own."
        ) from None


def _lenient(data: bytes, encoding: str, errors: str, *, is_whole: bool) -> str:
    """Decode; of a text that is not whole a last character that is cut through is left out."""
    info = codecs.lookup(encoding)
    if not info._is_text_encoding:  # such as rot13 or zip, which decode something else
        raise LookupError(encoding)
    if is_whole:
        return data.decode(encoding, errors)
    return codecs.getincrementaldecoder(encoding)(errors).decode(data)

"""Characters that the default font lacks: another font, or an escape."""

from __future__ import annotations

from mfcli.errors import warn
from mfcli.plots.drawing import Figure, Text, font_manager

_DEFAULT = "DejaVu Sans"  # comes with matplotlib
_WEIGHTS = (400, "normal", "regular", "book")


def show_all_characters(figure: Figure) -> None:
    """Give the texts of a figure fonts that have their characters.

    Where no installed font has a character, its escape is shown. Control characters are escaped.

    Warns
    -----
    MfcliWarning
        If a character is escaped because of the fonts.
    """
    texts: list[Text] = figure.findobj(Text)
    for text in texts:
        text.set_text("".join(map(_printable, text.get_text())))
    # Most pictures need no font but the default one; listing the others takes time.
    texts = [text for text in texts if not text.get_text().isascii()]
    if not texts:
        return
    fonts = _fonts()
    missing = _missing({c for text in texts for c in text.get_text()}, fonts[_DEFAULT])
    # One more font for all texts: a search for each character would mix many styles.
    font = _covering(missing, fonts) if missing else None
    lost = _missing(missing, fonts[font]) if font else missing
    for text in texts:
        text.set_fontfamily([_DEFAULT, font] if font else [_DEFAULT])
        text.set_text("".join(_escaped(c) if c in lost else c for c in text.get_text()))
    if lost:
        shown = "".join(sorted(lost))[:10]
        warn(f"no installed font has the characters {shown!r}; the picture shows their codes")


def _printable(character: str) -> str:
    return character if character.isprintable() or character == "\n" else _escaped(character)


def _escaped(character: str) -> str:
    return ascii(character)[1:-1]


def _fonts() -> dict[str, str]:
    """Return the files of the installed fonts, by name; of the upright ones of normal weight."""
    return {
        font.name: font.fname
        # Sorted, because the order of the list differs between machines. The font Last Resort has
        # a box for every character.
        for font in sorted(font_manager.fontManager.ttflist, key=lambda font: font.fname)
        if font.style == "normal" and font.weight in _WEIGHTS and "Last Resort" not in font.name
    }


def _covering(characters: set[str], fonts: dict[str, str]) -> str | None:
    """Return the font that has the most of the characters; None if no font has one."""
    left = {name: len(_missing(characters, file)) for name, file in fonts.items()}
    best = min(left, key=left.__getitem__)
    return best if left[best] < len(characters) else None


def _missing(characters: set[str], file: str) -> set[str]:
    """Return the characters that a font lacks; all if matplotlib cannot draw it."""
    try:
        face = font_manager.get_font(file)
    except (OSError, RuntimeError):
        return characters
    known = face.get_charmap() if face.scalable else {}
    return {c for c in characters if ord(c) not in known}

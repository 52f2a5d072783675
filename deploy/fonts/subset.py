# ruff: noqa: INP001 - a script, run by itself
"""
Create the fonts of the PDF reports: subsets of Noto as shipped with Debian 13.

    apt-get install fonts-noto-core fonts-noto-cjk
    python -m pip install fonttools
    python deploy/fonts/subset.py mrv/report/fonts

Complete fonts have 20 MB and more. The subsets contain Latin with all Vietnamese letters, Greek,
Cyrillic, and the Japanese characters of JIS X 0208.  `coverage.txt` lists the covered characters;
reports print other characters as their number.  Licence: SIL OFL 1.1 (`OFL.txt`); Noto reserves no
font name.
"""

import sys
from itertools import chain
from pathlib import Path

from fontTools import subset
from fontTools.ttLib import TTFont

SOURCES = Path("/usr/share/fonts")
LATIN = (
    (0x20, 0x7E), (0xA0, 0x24F), (0x2B0, 0x52F), (0x1E00, 0x1EFF), (0x2010, 0x2027),
    (0x2030, 0x205E), (0x2070, 0x209C), (0x20A0, 0x20BF), (0x20F0, 0x20F0), (0x2100, 0x215F),
    (0x2184, 0x2184), (0x2189, 0x2189),
)  # fmt: skip
JAPANESE = ((0x2460, 0x2473), (0x3000, 0x30FF), (0xFF01, 0xFFEE))
FONTS = {
    "NotoSans-Regular.ttf": ("truetype/noto/NotoSans-Regular.ttf", LATIN),
    "NotoSans-Bold.ttf": ("truetype/noto/NotoSans-Bold.ttf", LATIN),
    "NotoSansCJKjp-Regular.otf": ("opentype/noto/NotoSansCJK-Regular.ttc", JAPANESE),
    "NotoSansCJKjp-Bold.otf": ("opentype/noto/NotoSansCJK-Bold.ttc", JAPANESE),
}


def jis() -> set[int]:
    """Return the code points of the JIS X 0208 characters."""
    cells = (bytes((row, cell)) for row in range(0xA1, 0xFF) for cell in range(0xA1, 0xFF))
    return {ord(text) for text in (cell.decode("euc_jp", "ignore") for cell in cells) if text}


def make(source: Path, spans: tuple[tuple[int, int], ...], out: Path) -> set[int]:
    """Write the subset of a font; return the code points of its characters."""
    options = subset.Options(
        hinting=False,
        name_IDs=["*"],
        # without `locl`, which has the letter forms of other countries
        layout_features=["ccmp", "kern", "mark", "mkmk"],
        drop_tables=["BASE", "DSIG", "VORG", "vhea", "vmtx"],  # of upright writing
        font_number=0,  # in a collection: Japanese
    )
    font = subset.load_font(str(source), options)
    cutter = subset.Subsetter(options)
    wanted = set(chain.from_iterable(range(a, b + 1) for a, b in spans))
    cutter.populate(unicodes=wanted | (jis() if spans is JAPANESE else set()))
    cutter.subset(font)
    # without the time of creation: the same source gives identical bytes
    font["head"].modified = font["head"].created
    font.recalcTimestamp = False
    font.save(out)
    return set(TTFont(out).getBestCmap())


def spans_of(characters: set[int]) -> list[tuple[int, int]]:
    """Return the first and last of each run of consecutive code points."""
    spans: list[tuple[int, int]] = []
    for character in sorted(characters):
        if spans and spans[-1][1] == character - 1:
            spans[-1] = (spans[-1][0], character)
        else:
            spans.append((character, character))
    return spans


def main(folder: Path) -> None:
    """Write fonts and `coverage.txt` into a folder."""
    covered = {
        name: make(SOURCES / source, spans, folder / name)
        for name, (source, spans) in FONTS.items()
    }
    regular = {name: chars for name, chars in covered.items() if "Regular" in name}
    both = set().union(
        *(chars & covered[name.replace("Regular", "Bold")] for name, chars in regular.items())
    )
    lines = [f"{first:04X}-{last:04X}" for first, last in spans_of(both)]
    (folder / "coverage.txt").write_text("\n".join(lines) + "\n", encoding="ascii")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""
Organisations of keys, and comparison of their names in any spelling.

A verifier must not belong to the preparer's organisation.  Register ids decide if both are of
one legal entity; otherwise names are compared without case, accents, punctuation and legal form.
"""

# ruff: noqa: RUF001 - this file lists letters of similar shape
from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence

from mrv.signatures.keys import EnrolledKey

# Letters with the shape of another letter, or with a form without accents but without Unicode
# decomposition; services/api/console/static/check/bounds.mjs has the same list.
_ALIKE = str.maketrans(
    {
        "đ": "d", "ð": "d", "ø": "o", "ł": "l", "ħ": "h", "ı": "i", "æ": "ae", "œ": "oe",
        "þ": "th", "ɑ": "a", "ɡ": "g", "ß": "ss",
        "а": "a", "в": "b", "е": "e", "к": "k", "м": "m", "н": "h", "о": "o", "р": "p",
        "с": "c", "т": "t", "у": "y", "х": "x", "і": "i", "ј": "j", "ѕ": "s", "ԁ": "d",
        "ԛ": "q", "ԝ": "w", "һ": "h", "ӏ": "l",
        "α": "a", "β": "b", "ε": "e", "ζ": "z", "η": "h", "ι": "i", "κ": "k", "μ": "m",
        "ν": "v", "ο": "o", "ρ": "p", "τ": "t", "υ": "y", "χ": "x", "ς": "σ",
    }
)  # fmt: skip
# Latin letters and digits of similar shapes: I, l and 1, O and 0
_SHAPES = (("i", "l"), ("1", "l"), ("0", "o"), ("rn", "m"), ("vv", "w"))
_LEGAL_FORMS = {
    "limited": "ltd",
    "company": "co",
    "corporation": "corp",
    "incorporated": "inc",
    "jointstockcompany": "jsc",
}
_FORM_WORDS = {
    "ltd", "co", "corp", "inc", "jsc", "llc", "plc", "llp", "gmbh", "ag", "sa", "spa", "srl", "bv",
    "nv", "ab", "oy", "kk", "tnhh", "ctcp", "mtv", "pte", "pty", "sdn", "bhd", "株", "有",
}  # fmt: skip
# legal forms written without a blank before or after the name
_ATTACHED = ("株式会社", "有限会社", "合同会社")
_FORM_PHRASES = (
    "cong ty cp",
    "cty cp",
    "cty",
    "trach nhiem huu han",
    "mot thanh vien",
    "cong ty",
    "co phan",
    "joint stock",
    "kabushiki kaisha",
)


# The name of a register or country before a number: MST, D-U-N-S, VAT, VN, DE
_LABEL = re.compile(r"(?:[^\W\d_]{1,4} )*(?:(?![oil]+[0-9])[^\W\d_]{2,4})? ?(?=[0-9oil])")
_DIGITS = str.maketrans("oil", "011")
_NUMBER = re.compile("t?[0-9]+")  # T before the number of a company in Japan
# The number of a branch is its entity's number followed by a group of digits: 10-3 in Viet Nam
# (Circular 86/2024/TT-BTC, article 5), 9-3 for VAT in the United Kingdom, 9-5 in France (SIRET)
# and Germany (W-IdNr).  Without a separator the Vietnamese one is known by its first digit, which
# no number of 13 digits has in Japan.
_BRANCH = re.compile(r"([0-9]{9,10}) [0-9]{3,5}|(0[0-9]{9})[0-9]{3}")
# Common words, which do not distinguish names: trades, kinds of bodies, countries.
_TRADES = """
power energy electric electricity gas water waterworks wastewater waste solar wind heat
environment environmental urban transport bus construction development investment trade trading
industry industrial service services supply technology group holding holdings international
national regional general and of the for
dien luc nang luong nuoc sach cap thoat moi truong do thi xay dung dau tu phat trien thuong mai
dich vu cong nghiep nghe tap doan tong quoc te va
vietnam viet nam japan nhat ban
"""


def normalised(name: str) -> str:
    """Return a name without case, width, accents and punctuation, and with uniform legal forms."""
    return shape("".join(_LEGAL_FORMS.get(word, word) for word in _words(name)))


def stem(name: str) -> str:
    """Return a name without its legal form, unless nothing else remains."""
    return shape("".join(words_of(name))) or normalised(name)


def words_of(name: str) -> list[str]:
    """Return the words of a name without case, width, accents, punctuation and legal form."""
    words = " ".join(_LEGAL_FORMS.get(word, word) for word in _words(name))
    for form in _ATTACHED:
        words = words.replace(form, " ")
    for phrase in _FORM_PHRASES:
        words = f" {words} ".replace(f" {phrase} ", " ")
    return [word for word in words.split() if word not in _FORM_WORDS]


def _words(name: str) -> list[str]:
    plain = unicodedata.normalize("NFKD", name).casefold().translate(_ALIKE)
    return "".join(_letters(plain)).split()


def _letters(text: str) -> Iterator[str]:
    for char in text:
        # a dot in an abbreviation, a mark and an invisible character do not separate words
        if char not in ".'\N{RIGHT SINGLE QUOTATION MARK}" and unicodedata.category(char)[0] != "M":
            yield char if char.isalnum() else " "


def shape(text: str) -> str:
    """Return a text in which letters of similar shape are replaced by one letter of their group."""
    for value, other in _SHAPES:
        text = text.replace(value, other)
    return text


def organisation_of(key: EnrolledKey) -> str:
    """Return the organisation of a key's holder; the holder's name if not stated."""
    return key.bounds.organisation or key.name


def same_organisation(enrolled_key: EnrolledKey, other: EnrolledKey) -> bool:
    """Return whether two keys are of one organisation, or of one holder."""
    ids = [_id(key) for key in (enrolled_key, other)]
    if enrolled_key.multikey == other.multikey or (ids[0] is not None and ids[0] == ids[1]):
        return True
    written = normalised if None not in ids else stem
    return not _names(enrolled_key, written).isdisjoint(_names(other, written))


def legal_entity(number: str) -> str:
    """
    Return the register number of a legal entity in a normalised form.

    The number may be a tax or VAT number, a D-U-N-S number or an LEI.  Case, width, separators,
    leading zeros, and the name of a register or country before the number are removed; letters in
    place of digits become digits; the number of a branch becomes that of its entity.
    """
    text = _LABEL.sub("", " ".join(_words(number)), count=1)
    *parts, last = text.translate(_DIGITS).split() or [""]
    head = "".join(parts)
    whole = head + last
    if not _NUMBER.fullmatch(whole):
        return shape(text.replace(" ", ""))
    match = _BRANCH.fullmatch(f"{head} {last}".strip())
    return (whole if match is None else match[1] or match[2]).lstrip("t0")


def _id(key: EnrolledKey) -> str | None:
    """Return the legal entity of a key's holder; None if not stated."""
    identifier = key.bounds.organisation_id
    return None if identifier is None else legal_entity(identifier) or None


def _names(key: EnrolledKey, written: Callable[[str], str]) -> set[str]:
    return {written(key.name), written(organisation_of(key))}


_COMMON = frozenset(map(shape, _TRADES.split()))
# Words of a body named only after its place: "X City", "City of X", "Thanh pho X"
_KINDS = "city province prefecture district commune ward town municipality committee"
_BODIES = frozenset(map(shape, _KINDS.split()))
_BODIES_BEFORE = tuple(
    [shape(word) for word in phrase.split()]
    for phrase in ("thanh pho", "tp", "tinh", "quan", "huyen", "xa", "phuong", "ubnd",
                   "uy ban nhan dan")
)  # fmt: skip
_BODIES_BEHIND = ("市", "県", "府", "都", "道", "区", "町", "村")
# Vietnam's provinces and cities under the central government, before July 2025 and since, and
# Hai Phong's partner city; other places are recognised by the words around them.
_PLACES = tuple(
    [shape(word) for word in name.split()]
    for name in (
        "an giang", "ba ria", "vung tau", "bac giang", "bac kan", "bac lieu", "bac ninh", "ben tre",
        "binh dinh", "binh duong", "binh phuoc", "binh thuan", "ca mau", "can tho", "cao bang",
        "da nang", "dak lak", "dak nong", "dien bien", "dong nai", "dong thap", "gia lai",
        "ha giang", "ha nam", "ha noi", "hanoi", "ha tinh", "hai duong", "hai phong", "haiphong",
        "hau giang", "ho chi minh", "hoa binh", "hue", "hung yen", "khanh hoa", "kien giang",
        "kon tum", "lai chau", "lam dong", "lang son", "lao cai", "long an", "nam dinh", "nghe an",
        "ninh binh", "ninh thuan", "phu tho", "phu yen", "quang binh", "quang nam", "quang ngai",
        "quang ninh", "quang tri", "sai gon", "saigon", "soc trang", "son la", "tay ninh",
        "thai binh", "thai nguyen", "thanh hoa", "thua thien", "tien giang", "tra vinh",
        "tuyen quang", "vinh long", "vinh phuc", "yen bai", "kitakyushu",
    )
)  # fmt: skip
# minimum length of a common part of names written without blanks
_SHORTEST = 3


def affiliated(value: str, other: str) -> bool:
    """Return whether two names are equal, or one contains all distinguishing words of the other."""
    return stem(value) == stem(other) or _within(value, other) or _within(other, value)


def _within(short: str, long: str) -> bool:
    """Return whether a name's words are distinctive, and all occur in the other name."""
    few, many = _shaped(short), _shaped(long)
    whole = "".join(few)
    if _unspaced(whole):
        known = len(whole) >= _SHORTEST and not whole.endswith(_BODIES_BEHIND)
        return known and whole in "".join(many)
    distinctive = _without_places(few)
    runs = {"".join(many[i:j]) for i in range(len(many)) for j in range(i + 1, len(many) + 1)}
    return not {*distinctive} <= _COMMON and (
        {*distinctive} <= {*many} or "".join(distinctive) in runs
    )


def _shaped(name: str) -> list[str]:
    return [shape(word) for word in words_of(name)]


def _unspaced(text: str) -> bool:
    """Return whether a name is in a script without spaces between words."""
    return any(char >= "\N{HIRAGANA LETTER SMALL A}" for char in text)


def _without_places(words: Sequence[str]) -> list[str]:
    """Return the words of a name without place names; all words if there are no others."""
    if not words or words[-1] in _BODIES or (words[0] in _BODIES and "of" in words[1:2]):
        return []
    if any([*words[: len(before)]] == before for before in _BODIES_BEFORE):
        return []
    remaining, at = [], 0
    while at < len(words):
        place = next((p for p in _PLACES if [*words[at : at + len(p)]] == p), None)
        if place is None:
            remaining.append(words[at])
        at += len(place or words[at : at + 1])
    return remaining

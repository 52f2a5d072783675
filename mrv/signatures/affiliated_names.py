"""
Whether one organisation's name is another's, or holds all of it that tells it apart.

"Green Port Energy" is no supplier from outside for "Green Port JSC".  A shared place tells
nothing: "Hai Phong Power Company" supplies "Hai Phong City".  So all words of the shorter name
but known places and the legal form have to stand in the longer one, and one of them at least must
not be that of a trade.  Names that are one to `organisations.stem` are one here too.
"""

from __future__ import annotations

from collections.abc import Sequence

from mrv.signatures.organisations import shape, stem, words_of

# Words of many names, which tell none apart: trades, kinds of bodies, countries.
_TRADES = """
power energy electric electricity gas water waterworks wastewater waste solar wind heat
environment environmental urban transport bus construction development investment trade trading
industry industrial service services supply technology group holding holdings international
national regional general and of the for
dien luc nang luong nuoc sach cap thoat moi truong do thi xay dung dau tu phat trien thuong mai
dich vu cong nghiep nghe tap doan tong quoc te va
vietnam viet nam japan nhat ban
"""
_COMMON = frozenset(map(shape, _TRADES.split()))
# A body that is named for its place alone: "X City", "City of X", "Thanh pho X"
_KINDS = "city province prefecture district commune ward town municipality committee"
_BODIES = frozenset(map(shape, _KINDS.split()))
_BODIES_BEFORE = tuple(
    [shape(word) for word in phrase.split()]
    for phrase in ("thanh pho", "tp", "tinh", "quan", "huyen", "xa", "phuong", "ubnd",
                   "uy ban nhan dan")
)  # fmt: skip
_BODIES_BEHIND = ("市", "県", "府", "都", "道", "区", "町", "村")
# Vietnam's provinces and cities under the central government, before July 2025 and since, and
# Hai Phong's partner city; other places are told by the words around them.
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
# of a name that is written without blanks
_SHORTEST = 3


def affiliated(one: str, other: str) -> bool:
    """Whether two names are one, or one has all the words that tell the other apart."""
    return stem(one) == stem(other) or _within(one, other) or _within(other, one)


def _within(short: str, long: str) -> bool:
    """Whether all of a name stands in another one, and tells anybody apart."""
    few, many = _shaped(short), _shaped(long)
    whole = "".join(few)
    if _unspaced(whole):
        known = len(whole) >= _SHORTEST and not whole.endswith(_BODIES_BEHIND)
        return known and whole in "".join(many)
    told = _without_places(few)
    runs = {"".join(many[i:j]) for i in range(len(many)) for j in range(i + 1, len(many) + 1)}
    return not {*told} <= _COMMON and ({*told} <= {*many} or "".join(told) in runs)


def _shaped(name: str) -> list[str]:
    return [shape(word) for word in words_of(name)]


def _unspaced(text: str) -> bool:
    """Whether a name is in a script that puts no blanks between words."""
    return any(char >= "\N{HIRAGANA LETTER SMALL A}" for char in text)


def _without_places(words: Sequence[str]) -> list[str]:
    """Return the words of a name that are no places; none of a body that is named for its place."""
    if not words or words[-1] in _BODIES or (words[0] in _BODIES and "of" in words[1:2]):
        return []
    if any([*words[: len(before)]] == before for before in _BODIES_BEFORE):
        return []
    left, at = [], 0
    while at < len(words):
        place = next((p for p in _PLACES if [*words[at : at + len(p)]] == p), None)
        if place is None:
            left.append(words[at])
        at += len(place or words[at : at + 1])
    return left

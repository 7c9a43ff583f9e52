"""How people really type: no capitals, no question mark, stray spaces, misspelt words.

All functions are pure but for the random generator they are given. Digits are never touched, and
no typo turns one name into another.
"""

from __future__ import annotations

import re
from random import Random

from .countries import NAME_WORDS

MISSPELLINGS = {
    "capital": ("capitol", "captial", "capitel", "captal", "capial", "capitl", "cpital"),
    "capitals": ("capitols", "captials"),
    "country": ("contry", "coutry", "countrey", "counrty"),
    "what": ("waht", "wat", "wht", "whta"),
    "what's": ("whats", "wats", "what\u2019s", "wat's"),
    "which": ("wich", "whch", "witch"),
    "where": ("were", "wher"),
    "please": ("plz", "pls", "plase", "pleas"),
    "the": ("teh", "th", "hte"),
    "you": ("u", "yuo"),
    "are": ("r",),
    "tomorrow": ("tommorow", "tommorrow"),
    "february": ("febuary", "feburary"),
    "wednesday": ("wensday", "wednsday"),
    "minus": ("minnus",),
    "calculate": ("calculat", "caclulate"),
}
_NEIGHBOURS = {
    "a": "sq", "b": "vn", "c": "xv", "d": "sf", "e": "wr", "f": "dg", "g": "fh", "h": "gj",
    "i": "uo", "j": "hk", "k": "jl", "l": "ko", "m": "n", "n": "bm", "o": "ip", "p": "o",
    "q": "wa", "r": "et", "s": "ad", "t": "ry", "u": "yi", "v": "cb", "w": "qe", "x": "zc",
    "y": "tu", "z": "x",
}  # fmt: skip
_WORD = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)?")
_ENDINGS = ("??", "!", " ?", ".", "?!", " ??", "...")
MIN_TYPO_LENGTH = 5


def restyle(text: str, rng: Random) -> str:
    """The same question as somebody might have typed it."""
    if rng.random() < 0.12:
        text = misspell(text, rng)
    if rng.random() < 0.16:
        text = mistype(text, rng)
    text = _recase(text, rng)
    text = _repunctuate(text, rng)
    return _respace(text, rng)


def misspell(text: str, rng: Random) -> str:
    """Misspell one of the words people commonly misspell, if there is one."""
    found = [match for match in _WORD.finditer(text) if match[0].lower() in MISSPELLINGS]
    if not found:
        return text
    match = rng.choice(found)
    wrong = rng.choice(MISSPELLINGS[match[0].lower()])
    return text[: match.start()] + _like(match[0], wrong) + text[match.end() :]


def mistype(text: str, rng: Random) -> str:
    """Slip on one key in one longer word."""
    found = [match for match in _WORD.finditer(text) if len(match[0]) >= MIN_TYPO_LENGTH]
    if not found:
        return text
    match = rng.choice(found)
    wrong = _slip(match[0], rng)
    if wrong.lower() in NAME_WORDS:
        return text
    return text[: match.start()] + wrong + text[match.end() :]


def _slip(word: str, rng: Random) -> str:
    """Swap, drop, double or miss one letter; the first one stays."""
    i = rng.randrange(1, len(word))
    match rng.randrange(4):
        case 0 if i + 1 < len(word):
            return word[:i] + word[i + 1] + word[i] + word[i + 2 :]
        case 1:
            return word[:i] + word[i + 1 :]
        case 2:
            return word[:i] + word[i] + word[i:]
        case _:
            return word[:i] + rng.choice(_NEIGHBOURS.get(word[i], word[i])) + word[i + 1 :]


def _like(word: str, other: str) -> str:
    return other.capitalize() if word[0].isupper() else other


def _recase(text: str, rng: Random) -> str:
    chance = rng.random()
    if chance < 0.25:
        return text.lower()
    if chance < 0.28:
        return text.upper()
    return text[:1].lower() + text[1:] if chance < 0.33 else text


def _repunctuate(text: str, rng: Random) -> str:
    chance = rng.random()
    bare = text.rstrip("?.!")
    if chance < 0.30 and bare:
        return bare
    if chance < 0.40 and bare:
        return bare + rng.choice(_ENDINGS)
    return text


def _respace(text: str, rng: Random) -> str:
    """Double one space. Spaces at the ends never reach the model: its chat template trims them."""
    return text.replace(" ", "  ", 1) if rng.random() < 0.03 else text

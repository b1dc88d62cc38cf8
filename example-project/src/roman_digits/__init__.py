"""Writes and reads Roman numerals, from 1 to 3999."""

from __future__ import annotations

__all__ = ["read", "write"]
__version__ = "1.0.0"

_VALUES = {
    "M": 1000,
    "CM": 900,
    "D": 500,
    "CD": 400,
    "C": 100,
    "XC": 90,
    "L": 50,
    "XL": 40,
    "X": 10,
    "IX": 9,
    "V": 5,
    "IV": 4,
    "I": 1,
}
_LARGEST = 3999


def write(number: int) -> str:
    """Write a number as a Roman numeral.

    Raises:
        ValueError: it is not from 1 to 3999.

    """
    if not 1 <= number <= _LARGEST:
        raise ValueError(f"{number} is not from 1 to {_LARGEST}")
    digits = []
    for symbol, value in _VALUES.items():
        count, number = divmod(number, value)
        digits.append(symbol * count)
    return "".join(digits)


def read(numeral: str) -> int:
    """Read a Roman numeral as ``write`` writes it, in capitals.

    Raises:
        ValueError: it is none.

    """
    rest, number = numeral, 0
    for symbol, value in _VALUES.items():
        while rest.startswith(symbol):
            number += value
            rest = rest.removeprefix(symbol)
    if rest or not 1 <= number <= _LARGEST or write(number) != numeral:
        raise ValueError(f"{numeral!r} is not a Roman numeral")
    return number

"""Roman numerals, written and read back."""

from __future__ import annotations

import pytest

import roman_digits


@pytest.mark.parametrize(("number", "numeral"), [(1, "I"), (4, "IV"), (1994, "MCMXCIV"), (3999, "MMMCMXCIX")])
def test_numerals_are_written(number: int, numeral: str) -> None:
    assert roman_digits.write(number) == numeral


def test_every_numeral_is_read_as_it_was_written() -> None:
    assert all(roman_digits.read(roman_digits.write(number)) == number for number in range(1, 4000))


@pytest.mark.parametrize("numeral", ["", "IIII", "IC", "MMMM", "iv", "IVX"])
def test_what_is_no_numeral_is_refused(numeral: str) -> None:
    with pytest.raises(ValueError, match="not a Roman numeral"):
        roman_digits.read(numeral)


@pytest.mark.parametrize("number", [0, -1, 4000])
def test_what_has_no_numeral_is_refused(number: int) -> None:
    with pytest.raises(ValueError, match="not from 1 to 3999"):
        roman_digits.write(number)

"""Case numbers, which people read out and mistype, and PINs, which others try to guess."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from case_samples import image
from egide.domain.cases import (
    CaseSummary,
    check_pin,
    new_number,
    normal_pin,
    parse_number,
    shown_number,
)
from egide.errors import CaseNumberInvalid, PinRefused

NUMBERS = st.builds(new_number)


def refused(text: str) -> bool:
    try:
        parse_number(text)
    except CaseNumberInvalid:
        return True
    return False


def pin_refused(pin: str, number: str | None = None) -> object:
    with pytest.raises(PinRefused) as raised:
        check_pin(pin, number)
    return raised.value.fields["reason"]


class TestNumbers:
    def test_check_digit_is_that_of_a_published_example(self) -> None:
        # Damm's own example: 572 has the check digit 4.
        assert parse_number("000000005724") == "000000005724"
        assert [digit for digit in "0123456789" if not refused(f"00000000572{digit}")] == ["4"]

    @given(NUMBERS)
    def test_every_mistyped_digit_is_found(self, number: str) -> None:
        for at, right in enumerate(number):
            for wrong in "0123456789":
                if wrong != right:
                    assert refused(number[:at] + wrong + number[at + 1 :])

    @given(NUMBERS)
    def test_every_swap_of_neighbours_is_found(self, number: str) -> None:
        for at in range(len(number) - 1):
            one, other = number[at], number[at + 1]
            if one != other:
                assert refused(number[:at] + other + one + number[at + 2 :])

    @given(NUMBERS, st.integers(0, 11))
    def test_missing_and_doubled_digits_are_found(self, number: str, at: int) -> None:
        assert refused(number[:at] + number[at + 1 :])
        assert refused(number[:at] + number[at] + number[at:])

    @given(NUMBERS)
    def test_number_is_read_however_it_is_written(self, number: str) -> None:
        shown = shown_number(number)
        assert [len(group) for group in shown.split(" ")] == [4, 4, 4]
        wide = "".join(chr(ord(digit) + 0xFEE0) for digit in shown if digit != " ")
        arabic = "".join(chr(0x0660 + int(digit)) for digit in number)
        for text in (
            number,
            shown,
            f"  {shown}\n",
            shown.replace(" ", "-"),
            shown.replace(" ", "\u00a0\u2013\u202f"),
            shown.replace(" ", "."),
            " ".join(number),
            wide,
            arabic,
        ):
            assert parse_number(text) == number

    @pytest.mark.parametrize(
        "text", ["", "-", "4821", "4821 7730 915x", "½21877309154", "²" * 12, "\ud800" * 12]
    )
    def test_anything_else_is_no_number(self, text: str) -> None:
        assert refused(text)

    def test_a_very_long_text_is_refused_at_its_thirteenth_digit(self) -> None:
        assert refused("0" * 10_000_000)

    def test_numbers_are_drawn_from_all_there_are(self) -> None:
        drawn = {new_number() for _ in range(2000)}
        assert len(drawn) == 2000
        for at in range(12):
            assert {number[at] for number in drawn} == set("0123456789")

    def test_an_error_says_nothing_of_what_was_typed(self) -> None:
        with pytest.raises(CaseNumberInvalid) as raised:
            parse_number("482177309155123")
        assert "4821" not in str(raised.value)


class TestPins:
    @pytest.mark.parametrize(
        ("pin", "reason"),
        [
            ("", "too-short"),
            ("48 21", "too-short"),
            ("  4821  ", "too-short"),
            ("a" * 65, "too-long"),
            ("ﷺ" * 64, "too-long"),  # 18 characters each, once it is normalised
            ("x" * 10_000_000, "too-long"),
            ("4821\x0073", "unprintable"),
            ("4821\ud80073", "unprintable"),
            ("000000", "too-simple"),
            ("111111111", "too-simple"),
            ("474747", "too-simple"),
            ("773377", "too-simple"),
            ("123456", "too-simple"),
            ("0123456789", "too-simple"),
            ("567890", "too-simple"),
            ("987654", "too-simple"),
            ("123 456", "too-simple"),
            ("１２３４５６", "too-simple"),
            ("abcdef", "too-simple"),
            ("482482", "too-simple"),
            ("abcabcab", "too-simple"),
            ("Azerty", "too-simple"),
            ("motdepasse", "too-simple"),
        ],
    )
    def test_easy_one_is_refused_with_its_reason(self, pin: str, reason: str) -> None:
        assert pin_refused(pin) == reason

    @pytest.mark.parametrize(
        "pin", ["483917", "amande-48", "été 2019 à Nice", "48a391", "日本語で六字"]
    )
    def test_others_are_taken(self, pin: str) -> None:
        assert check_pin(pin, "482177309154") == pin

    def test_part_of_the_number_is_refused(self) -> None:
        number = "482177309154"
        assert pin_refused("482177", number) == "case-number"
        assert pin_refused("4821 7730 9154", number) == "case-number"
        assert check_pin("482178", number) == "482178"

    def test_spellings_of_one_pin_are_one(self) -> None:
        assert check_pin("e\u0301te\u0301-2019") == check_pin(" \u00e9t\u00e9-2019 ")
        assert normal_pin("４８３９１７\n") == check_pin("483917")

    def test_the_pin_is_not_in_the_error(self) -> None:
        with pytest.raises(PinRefused) as raised:
            check_pin("motdepasse")
        assert "motdepasse" not in str(raised.value) + repr(raised.value.fields)


def test_fingerprints_and_numbers_are_in_no_representation() -> None:
    one = image(1)
    assert one.pdq is not None
    assert repr(one.pdq) not in repr(one)
    assert repr(one.sha256) not in repr(one)
    hidden = {name for name, own in CaseSummary.__dataclass_fields__.items() if not own.repr}
    assert hidden == {"number"}

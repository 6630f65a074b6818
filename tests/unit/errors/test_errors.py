"""What every error has: a category, a code of its own, a way from process to process."""

from __future__ import annotations

import pickle
from collections import Counter
from string import Formatter

import pytest

from egide import errors

CATEGORIES = errors.EgideError.__subclasses__()


def below(kind: type[errors.EgideError]) -> set[type[errors.EgideError]]:
    return {kind}.union(*(below(child) for child in kind.__subclasses__()))


ERRORS = sorted(
    below(errors.EgideError) - {errors.EgideError, *CATEGORIES}, key=lambda kind: kind.code
)


def test_what_is_right_below_the_root_is_a_category_and_has_no_code() -> None:
    assert {kind.__module__ for kind in CATEGORIES} == {"egide.errors.base"}
    assert not [kind for kind in CATEGORIES if "code" in vars(kind)]


def test_every_code_is_of_one_error() -> None:
    codes = Counter(kind.code for kind in (errors.EgideError, *ERRORS))
    assert [code for code, times in codes.items() if times > 1] == []


def test_every_error_can_be_imported_from_one_place() -> None:
    assert [kind for kind in ERRORS if getattr(errors, kind.__name__, None) is not kind] == []


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.code)
def test_an_error_crosses_from_process_to_process(kind: type[errors.EgideError]) -> None:
    names = [name for _, name, _, _ in Formatter().parse(str(kind.__doc__)) if name]
    error = kind(**dict.fromkeys(names, "‹a name›"))
    crossed = pickle.loads(pickle.dumps(error))
    assert (type(crossed), crossed.fields, str(crossed)) == (kind, error.fields, str(error))


def test_only_what_is_told_in_words_of_its_own_is_told_of_our_faults() -> None:
    """Messages of other errors may say where the store is."""
    told = {kind for kind in ERRORS if kind.status >= 500 and kind.told is None}
    assert told == {
        errors.Overloaded, errors.NotReady, errors.RegisterStale,
        errors.FetchError, errors.FetchTimeout,
    }  # fmt: skip

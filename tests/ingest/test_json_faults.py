"""What is wrong with a JSON text is told the same whichever Python runs."""

import json

import pytest

from ingest.json_faults import TOO_DEEP, describe_fault


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"a":12.5,}', "Illegal trailing comma before end of object: line 1 column 10 (char 9)"),
        ('{"a":1 ,\n }', "Illegal trailing comma before end of object: line 1 column 8 (char 7)"),
        ("[1, ]", "Illegal trailing comma before end of array: line 1 column 3 (char 2)"),
        (
            '[{"a":[1,2,]}]',
            "Illegal trailing comma before end of array: line 1 column 11 (char 10)",
        ),
        ("[1,}", "Expecting value: line 1 column 4 (char 3)"),
        ("[,]", "Expecting value: line 1 column 2 (char 1)"),
        ('{"a":}', "Expecting value: line 1 column 6 (char 5)"),
        ("{,}", "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        ('{"a":1,', "Expecting property name enclosed in double quotes: line 1 column 8 (char 7)"),
        ('{"a":1 "b":2}', "Expecting ',' delimiter: line 1 column 8 (char 7)"),
        ("", "Expecting value: line 1 column 1 (char 0)"),
    ],
)
def test_the_place_and_the_words_do_not_depend_on_the_interpreter(text, words):
    """One dead letter would read differently on two servers, and its mark stand elsewhere."""
    with pytest.raises(json.JSONDecodeError) as wrong:
        json.loads(text)
    assert describe_fault(wrong.value) == words


def test_what_is_nested_too_deeply_is_told_in_our_own_words():
    """A technician would read of an interpreter's stack instead of the payload."""
    with pytest.raises(RecursionError) as wrong:
        json.loads("[" * 200_000)
    assert describe_fault(wrong.value) == TOO_DEEP

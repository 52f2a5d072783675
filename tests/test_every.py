"""A check of many items looks at each, and names those that fail."""

import pytest

from tests.every import every


def test_each_that_fails_is_named():
    """The second fault of a page would show only after the first was mended, or never."""
    seen = []
    with pytest.raises(AssertionError, match="2 of 4 failed") as failed:

        @every([("a", 1), ("b", 2), pytest.param("c", 3, id="third"), ("d", 4)])
        def _(name, number):
            seen.append(name)
            assert number not in {2, 3}

    assert seen == ["a", "b", "c", "d"]
    assert "b 2: " in str(failed.value)
    assert "third: " in str(failed.value)
    with pytest.raises(AssertionError, match="nothing to look at"):
        every([])(print)

"""docs/views.md equals the database's description of its views."""

from pathlib import Path

import psycopg

from deploy import views

PAGE = Path(__file__).parents[3] / "docs/views.md"


def test_the_page_of_the_views_has_not_drifted(database_url):
    """
    Anyone who reads with SQL would ask for a column that is gone, or take
    one for what it is not.
    """
    with psycopg.connect(database_url) as connection:
        made = views.page(connection)
        silent = [name for name, said, *_ in connection.execute(views.VIEWS) if not said]
    assert not silent, "a view without a comment: write one in its migration"
    assert made == PAGE.read_text("utf-8"), "run `make views`"

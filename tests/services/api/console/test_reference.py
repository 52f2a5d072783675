"""The API reference in a real browser: drawn from our own document, from nowhere else."""


def test_the_reference_is_drawn_without_any_other_host(served, tab):
    """An auditor on a closed network would look at an empty page."""
    asked = []
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(f"{served.url}/v1/reference")
    tab.get_by_text("/v1/statements/{statement}.pdf").wait_for()
    way = tab.locator("#operations-statements-status_v1_statements__statement__status_get")
    way.locator(".opblock-summary-control").click()
    way.get_by_text("superseded_by").first.wait_for()
    assert asked
    assert not [url for url in asked if not url.startswith((served.url, "data:"))]

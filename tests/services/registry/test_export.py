"""An export of the registry reads back as what was exported."""

from decimal import Decimal

import yaml
from hypothesis import given
from hypothesis import strategies as st

from services.registry.document import to_yaml
from services.registry.entries import Registry
from services.registry.files import Incoming, read_files, updated
from tests.services.registry.texts import BASE, DEMO, messages

numbers = st.one_of(
    st.integers(-(2**63) + 1, 2**63 - 1),
    st.decimals(
        allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9, places=6
    ),
)
plain = st.one_of(
    numbers,
    st.booleans(),
    st.sampled_from(["1e5", "007", "null", "~", "yes", "1_0", "", " x", "0x1F"]),
    st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=12),
)


@given(st.dictionaries(st.text("abcdef_", min_size=1, max_size=6), plain, max_size=5))
def test_an_export_reads_back_unchanged(tmp_path_factory, attributes):
    """An export would not be a backup."""
    folder = tmp_path_factory.mktemp("export")
    document = yaml.safe_load(BASE)
    registry = _read(folder, BASE)
    device = registry.devices["inv"]
    assert document["devices"][0]["id"] == device.id
    with_attributes = updated(
        registry, Registry.of([type(device)(**{**_fields(device), "attributes": attributes})])
    )
    again = _read(folder, to_yaml(with_attributes))
    merged = updated(with_attributes, again)
    assert merged == with_attributes
    assert all(
        isinstance(v, bool) == isinstance(attributes[k], bool)
        for k, v in merged.devices["inv"].attributes.items()
    )


def _fields(entry):
    return {name: getattr(entry, name) for name in type(entry).__slots__}


def _read(folder, text):
    file = folder / "r.yaml"
    file.write_text(text, encoding="utf-8")
    incoming: Incoming = read_files([file])
    assert not incoming.problems
    return incoming.registry


def test_the_demo_exports_and_reads_back(tmp_path):
    """Dates, versions and decimals would change on the way through a backup."""
    registry = updated(Registry(), _read(tmp_path, DEMO.read_text(encoding="utf-8")))
    assert updated(registry, _read(tmp_path, to_yaml(registry))) == registry
    assert registry.projects["cat-ba-ebus"].parameters["tdl"] == Decimal("0.0615")


def test_templates_go_out_as_they_came_in(load, tmp_path):
    """An export of the registry would lose a fleet's topics."""
    planned = load("topics: [{id: a, template: 'x/{site}/{device}'}]")
    assert not planned.refused, messages(planned)
    again = tmp_path / "again.yaml"
    again.write_text(to_yaml(planned.merged), encoding="utf-8")
    assert read_files([again]).registry == planned.merged

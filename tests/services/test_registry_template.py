"""`tonne registry template` and `tonne registry schema`, over all classes."""

import re
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from ingest import classes
from services.registry.entries import Device
from services.registry.fields import PLACEHOLDER, keys
from services.registry.schema import complete_template, schema, template
from tests.invoked import tonne

# the public key of RFC 6979, A.2.5: a meter's, for a test
RFC6979_X = "60FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6"
RFC6979_Y = "7903FE1008B8BC99A41AE9E95628BC64F2F1B20C2D7E9F5177A3C294D4462299"
CATALOG = Path(__file__).parents[2] / "deploy" / "catalog"
VALID = jsonschema_rs.validator_for(schema())
every_class = pytest.mark.parametrize("class_id", list(classes.load()))
# keys that name something that the file does not hold
_OTHERS = ("gateway", "check_of", "check_percent")


def _read(text: str) -> Any:
    return yaml.load(text, yaml.CSafeLoader)


def _checked(text: str, folder: Path) -> str:
    file = folder / "registry.yaml"
    file.write_text(text, encoding="utf-8")
    result = tonne("registry", "check", file, code=0)
    return result.output


def _uncommented(text: str) -> str:
    """Remove the comment marks before optional keys of a device."""
    lines = []
    for line in text.split("    # Channels of its messages", maxsplit=1)[0].splitlines():
        key = re.match(r"    # (\w+):|    #  ", line)
        takes = key is not None and key[1] not in _OTHERS
        lines.append(line.replace("# ", "", 1) if takes else line)
    return "\n".join(lines)


# what stands for a placeholder, by its key; a name of one's own for any other
_OWN = {
    "performed": "2025-12-20", "valid_until": "2027-12-20", "issued": "2025-03-01",
    "last": "98765", "first": "0", "sha256": "a1" * 32,
    "key": "04" + RFC6979_X + RFC6979_Y,
}  # fmt: skip


def _filled(text: str) -> str:
    """Put a valid value in place of every placeholder."""

    def own(found: re.Match[str]) -> str:
        return f"{found[1]}: {_OWN.get(found[1], '1' if found[2] == 'NUMBER' else 'own')}"

    return re.sub(rf"(\w+): {PLACEHOLDER}([\w-]+)", own, text)


def _as_json(value: Any) -> Any:
    """Return a document as an editor sees it: times are text."""
    if isinstance(value, dict):
        return {key: _as_json(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_as_json(one) for one in value]
    return value.isoformat() if hasattr(value, "isoformat") else value


@every_class
def test_what_is_optional_is_accepted_too(class_id: str, tmp_path: Path) -> None:
    """A comment that shows a key wrongly costs the reader an afternoon."""
    text = _filled(_uncommented(template(class_id)))
    device = _read(text)["devices"][0]
    assert "removed" in device
    assert ("replacements" in device) == bool(classes.load()[class_id].registers)
    _checked(text, tmp_path)


@every_class
def test_no_placeholder_is_accepted(class_id: str, tmp_path: Path) -> None:
    """A certificate, a document or a COD that no one has would appear in a statement."""
    text = template(class_id)
    begin = text.find("# projects:")
    project = re.sub(r"^# ", "", text[begin:], flags=re.MULTILINE) if begin > 0 else ""
    file = tmp_path / "registry.yaml"
    for whole in (
        _uncommented(text) + "\n" + project,
        _filled(_uncommented(text)) + "\n" + project,
    ):
        file.write_text(whole, encoding="utf-8")
        lines = [n for n, line in enumerate(whole.splitlines(), 1) if PLACEHOLDER in line]
        done = tonne("registry", "check", file, code=2 if lines else None)
        named = re.findall(r"registry\.yaml:(\d+): \S+ '" + PLACEHOLDER, done.output)
        assert sorted(set(map(int, named))) == lines


def test_what_no_one_else_knows_is_a_placeholder() -> None:
    """A placeholder that looks like a value would be taken for one."""
    text = template("wastewater_plant") + template("energy_meter")
    for key in (
        "certificate", "serial", "maker", "last", "key", "document", "sha256", "issued",
        "cod_in_kg_per_m3", "eta_cod",
    ):  # fmt: skip
        assert set(re.findall(rf"\b{key}: (\S+?-WITH-)?", text)) == {PLACEHOLDER}, key


@pytest.mark.parametrize("country", ["ID", "KE", "AU"])
def test_modules_of_an_unknown_place_do_not_face_south(country: str) -> None:
    """A roof in Nairobi would be judged by a sun that stands in the north of it."""
    text = template("pv_inverter", country)
    assert set(re.findall(r"\bazimuth: (\S+)", text)) == {f"{PLACEHOLDER}NUMBER"}


def test_every_key_of_a_device_is_shown() -> None:
    """A key that no example shows is found by no one."""
    text = template("energy_meter") + template("pv_inverter")
    assert [key for key in keys(Device) if f" {key}:" not in text] == []


def test_the_example_of_another_country_is_of_nothing_vietnamese(tmp_path: Path) -> None:
    """A planner in Kenya would leave Viet Nam's grid and methodology in the file."""
    text = tonne("registry", "template", "--country", "KE").stdout
    assert "timezone: Africa/Nairobi" in text
    assert "country: KE" in text
    assert "methodology: ams-i-d" in text
    assert "+03:00" in text
    assert not re.search(r"jcm-vn|Ho_Chi_Minh|\+07:00|106\.60", text)
    file = tmp_path / "registry.yaml"
    file.write_text(text, encoding="utf-8")
    refused = tonne("registry", "check", file, code=2).output
    for key in ("latitude", "longitude", "ef_grid_t_per_mwh", "capacity_mw"):
        assert f"{key}: 'REPLACE-WITH-" in refused, refused


def test_without_a_class_it_has_a_project_and_a_programme(tmp_path: Path) -> None:
    """The first registry file of a plant needs every section."""
    result = tonne("registry", "template", "--country", "VN")
    assert set(_read(result.stdout)) == {"sites", "devices", "projects", "programme"}
    assert all(name in result.stdout for name in classes.load())
    assert "project   my-project" in _checked(result.stdout, tmp_path)


def test_a_mistyped_class_is_asked_about() -> None:
    """A technician types `inverter` with one letter missing and must not read a source file."""
    result = tonne("registry", "template", "pv_invertr", "--country", "VN", code=2)
    assert "did you mean 'pv_inverter'?" in result.stderr


FILES = sorted(CATALOG.rglob("*.yaml"))


def test_the_schema_is_one() -> None:
    """An editor ignores a schema that is none, without a message."""
    jsonschema_rs.meta.validate(schema())


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.stem)
def test_the_schema_takes_the_catalog(file: Path) -> None:
    """Errors marked in a correct file teach people to ignore them."""
    document = _as_json(_read(file.read_text(encoding="utf-8")))
    if "devices" in document and not set(document) <= set(schema()["properties"]):
        pytest.skip("a fleet file of the simulator, no registry file")
    VALID.validate(document)


@every_class
def test_the_schema_takes_templates(class_id: str) -> None:
    """Example and schema that contradict each other are both useless."""
    VALID.validate(_as_json(_read(_filled(_uncommented(template(class_id))))))


@pytest.mark.parametrize(
    ("place", "change"),
    [
        ("devices", {"rated_power": 1}),
        ("devices", {"class": "pv_invertor"}),
        ("devices", {"profile": "shelly-pro-3em"}),
        ("devices", {"id": "a b"}),
        ("sites", {"latitude": "north"}),
        ("projects", {"methodology": "am007"}),
        ("projects", {"crediting_period": {"from": "2026-01-01"}}),
    ],
)
def test_the_schema_refuses_what_the_check_refuses(place: str, change: dict[str, Any]) -> None:
    """An editor that marks no error is trusted, and the import fails at the plant."""
    document = _as_json(_read(complete_template()))
    document[place][0] |= change
    with pytest.raises(jsonschema_rs.ValidationError):
        VALID.validate(document)


def test_the_command_prints_the_schema() -> None:
    """The file that an editor reads is what the command wrote."""
    result = tonne("registry", "schema")
    assert '"$schema": "https://json-schema.org/draft/2020-12/schema"' in result.stdout

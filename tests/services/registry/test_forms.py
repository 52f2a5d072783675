"""Forms by methodology ask for exactly what an import requires."""

import re
from pathlib import Path

import pytest

from mrv import methodologies
from mrv.model import Methodology
from services.registry.fields import PLACEHOLDER
from services.registry.forms import form
from tests.invoked import tonne

# a place of each country
PLACES = {"MA": ("30.4", "-9.5"), "VN": ("20.9", "106.6"), "ID": ("-6.9", "107.6")}
OWN = {
    "performed": "2025-12-20", "valid_until": "2027-12-20", "issued": "2025-03-01",
    "from": "2026-01-01", "to": "2033-01-01", "rated_power_w": "400000",
    "max_error_percent": "0.5", "dc_power_w": "400000", "tilt": "10", "azimuth": "180",
    "temperature_coefficient_percent": "-0.35", "gas_basis": "dry", "grid": "jamali",
    "sha256": "a1" * 32, "baseline_year": "2024", "first_year": "2020",
    "months_of_baseline": "12", "cop_project": "6", "eta_project": "0.9", "installed": "2026-01-01",
    "ef_grid_t_per_mwh": "0.87",
}  # fmt: skip
OF_A_DOCUMENT = ("document", "by", "issued", "sha256", "value")
LIVE = [one for one in methodologies.load().values() if one.roles]


def _number(method: Methodology, key: str) -> str:
    """Return a number that the specification of a parameter accepts."""
    if key in OWN:
        return OWN[key]
    spec = method.spec_of(key)
    if spec.choices:
        return str(spec.choices[0])
    low = float(spec.minimum)
    high = float(spec.maximum or spec.below or low + 2)
    return str(1 if spec.integer else (low + high) / 2 if high < 3 else max(low, 1))


def filled(method: Methodology, country: str) -> str:
    """Return the form with a value in place of each placeholder."""
    lines, key, about, rows = [], "", "", 0
    for line in form(method.id, country).yaml().splitlines():
        if found := re.match(r"\s*(?:- )?(\w+):", line):
            key = found[1]
            about = about if key in OF_A_DOCUMENT else key
        rows += line.startswith(("- id", "  - device"))
        if PLACEHOLDER not in line:
            lines.append(line)
            continue
        value = (
            PLACES[country][key == "longitude"] if key in ("latitude", "longitude")
            else f"own-{rows}" if key in ("serial", "certificate")
            else OWN[key] if key in OWN
            else _number(method, about) if line.endswith("WITH-NUMBER")
            else "own"
        )  # fmt: skip
        lines.append(re.sub(PLACEHOLDER + r"(DAY(?=T)|[\w-]+)", value, line))
    return "\n".join(lines)


@pytest.mark.parametrize("method", LIVE, ids=lambda method: method.id)
def test_a_form_that_is_filled_in_meets_no_second_round(method, tmp_path: Path):
    """Who filled a form in would be sent back for documents that it did not name."""
    country = next((one for one in ("VN", "ID") if one in method.countries), "MA")
    file = tmp_path / "form.yaml"
    text = filled(method, country)
    file.write_text(text, encoding="utf-8")
    said = tonne("registry", "check", file, code=0).output.splitlines()
    # decisions of the programme, which the form's first lines name, as they do what is optional
    asked = [
        line for line in said if "warning" in line
        and not ("accept_factors" in line and "accept_factors" in text)
        and not ("climate is not entered" in line and "Optional" in text)
    ]  # fmt: skip
    assert asked == []


def test_a_number_of_the_methodology_is_a_number():
    """An import would refuse "0" that the form itself wrote."""
    text = form("ams-iii-h", "MA").yaml()
    assert "leakage_t_per_year: 0\n" in text
    (sampled,) = [line for line in text.splitlines() if "projects.laboratory" in line]
    assert "eta_cod_project" in sampled, "the bound of 1 would take the whole reduction, unforeseen"
    assert "projects.laboratory" not in form("ams-i-d", "MA").yaml()


def test_the_grid_of_the_country_is_filled_in():
    """The published factor would have to be looked up and typed, with errors."""
    assert "ef_grid_t_per_mwh: 0.547\n" in form("ams-i-d", "MA").yaml()
    assert "ef_grid_t_per_mwh: REPLACE" in form("ams-i-d", "ID").yaml(), "of several grids"


def test_another_country_is_said_before_anything_is_asked(tmp_path: Path):
    """A planner would look for the case of a methodology that is of another country."""
    text = filled(methodologies.find("jcm-vn-am007"), "VN").replace("country: VN", "country: KE")
    text = text.replace("Asia/Ho_Chi_Minh", "Africa/Nairobi").replace("106.6", "36.8")
    file = tmp_path / "abroad.yaml"
    file.write_text(re.sub(r"^ +case: 1\n", "", text, flags=re.MULTILINE), encoding="utf-8")
    said = tonne("registry", "check", file, code=2).output
    assert 0 < said.index("is of JCM Viet Nam") < said.index("case")

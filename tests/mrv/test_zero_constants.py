"""Nobody is asked to measure a 0 of which more would leave no less."""

from tests.mrv.test_owner_inputs import composted, detail, treated
from tests.mrv.test_project_meters import plant_of

MEASURED = "PAR-06"


def test_kinds_of_waste_that_are_not_there_need_no_analysis():
    """A plant of food waste was asked for laboratory results of its textiles."""
    ((_, said),) = detail(composted(), MEASURED)
    assert "share_" not in said.replace("share_food", "")


def test_the_steam_of_a_plant_that_makes_none_needs_no_analysis():
    """A turbine without any steam to sell had the condition that its enthalpy is a constant."""
    asked = "steam_kj_per_kg ="

    def said(*names, **more):
        return "".join(text for _, text in detail(plant_of(*names, **more), MEASURED))

    assert asked in said("steam", "aux", "fuel")
    turbine = {"parameters": {"steam_kj_per_kg": 0, "feedwater_kj_per_kg": 0}}
    assert asked not in said("gen", "aux", "fuel", **turbine)
    assert "feedwater_kj_per_kg" not in said("gen", "aux", "fuel", **turbine)


def test_a_zero_that_gains_is_asked_for():
    """What goes out of a reactor, typed as 0, is what its owner would like to have."""
    ((holds, said),) = detail(treated(cod_out_kg_per_m3=0), MEASURED)
    assert not holds
    assert "cod_out_kg_per_m3" in said

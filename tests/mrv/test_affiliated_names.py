"""Whether an invoice's issuer is the operator by another name."""

# ruff: noqa: RUF001 - letters that look alike are what it is about

import pytest

from mrv.signatures.organisations import affiliated

ONE = [
    ("Green Port Co., Ltd", "GREEN PORT Energy JSC"),
    ("Hải Phòng Green Port Co., Ltd", "Green Port energy"),
    ("Ｇｒｅｅｎ　Ｐｏｒｔ", "green-port (energy) Limited"),
    ("GreenPort", "Green Port Energy"),
    ("Green Роrt", "Green Port Supply"),
    ("Công ty CP Xanh Việt", "Công ty TNHH MTV Năng lượng Xanh Việt"),
    ("Cty CP Xanh Việt", "CTCP Xanh Việt"),
    ("株式会社北九州環境", "北九州環境電力株式会社"),
    ("(株)グリーン港", "グリーン港エネルギー"),
    ("EVN", "EVN Hai Phong"),
    ("Hai Phong Power Company", "Hai Phong Power JSC"),
]
TWO = [
    ("Hai Phong city", "Hai Phong Power Company"),
    ("Hai Phong", "Hai Phong Power Company"),
    ("Hai Phong City", "Hai Phong City Power Company"),
    ("Hai Phong People's Committee", "Hai Phong Power Company"),
    ("Thành phố Hải Phòng", "Công ty TNHH MTV Điện lực Hải Phòng"),
    ("UBND thành phố Hải Phòng", "Điện lực thành phố Hải Phòng"),
    ("City of Kitakyushu", "City of Kitakyushu Waterworks"),
    ("北九州市", "北九州市水道"),
    ("Hai Phong Energy JSC", "Hai Phong Electricity"),
    ("Hai Phong Bus JSC", "Hai Phong Power Company"),
    ("Cat Ba Bus", "EVN Cat Ba"),
    ("Green Port", "Green Hill Energy"),
    ("Vietnam Energy", "Vietnam Energy and Water of Hai Phong"),
    ("Port", "Porter Energy"),
    ("Ltd", "Power Ltd"),
]


@pytest.mark.parametrize(("operator", "issuer"), ONE)
def test_an_issuer_that_holds_the_operators_name_is_no_other(operator, issuer):
    """An owner would write his own invoices with one word more in his name."""
    assert affiliated(operator, issuer)
    assert affiliated(issuer, operator)


@pytest.mark.parametrize(("operator", "issuer"), TWO)
def test_a_shared_place_or_trade_is_no_shared_name(operator, issuer):
    """The regional supplier of an honest owner would be taken for the owner."""
    assert not affiliated(operator, issuer)
    assert not affiliated(issuer, operator)

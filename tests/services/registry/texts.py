"""Registry files with which the tests begin."""

from pathlib import Path

DEMO = Path("deploy/catalog/demo.yaml")
BASE = """
sites:
  - {id: s, name: S, latitude: 20.9, longitude: 106.6, timezone: Asia/Ho_Chi_Minh, country: VN}
devices:
  - {id: inv, site: s, class: pv_inverter, profile: generic, rated_power_w: 100000,
     installed: 2026-01-01T00:00:00Z}
"""
PROJECT = """
projects:
  - id: pv
    name: PV
    methodology: jcm-vn-am007
    version: "1.0"
    crediting_period: {from: 2026-01-01, to: 2036-01-01}
    devices: [{device: inv, role: generation, case: 1}]
    expected: {energy_kwh_per_year: 120000}
"""


def messages(planned):
    return "\n".join(m for r in planned.results for m in r.messages)

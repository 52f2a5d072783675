"""False or missing invoices, certificates and check meters of a plant."""

from __future__ import annotations

from copy import deepcopy
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

import numpy as np

from tests.docket.distorted_registry import outside
from tests.docket.distorting import said, times_within
from tests.docket.world import UNITS, Readings, World, billed, invoice, rounded, seed_of, sha

# --- papers -------------------------------------------------------------------------------


@said
def certified(world: World, on: str, first: str, last: str, share: float) -> None:
    """Certificates of origin cover a share of a device's delivery on some days."""
    end = date.fromisoformat(last)
    day, made = date.fromisoformat(first), world.made.get(on)
    of = [made] if made is not None else [m for m in world.made.values() if "energy_export_wh" in m]
    inside = times_within(world, world.month.times_us, first, last)
    wh = sum(float(one["energy_export_wh"][inside].sum()) for one in of)
    world.certificates.append({"device": on, "begin": day, "end": end, "wh": int(share * wh)})


@said
def checked(world: World, on: str, by: float) -> None:
    """A second, calibrated meter measures the same quantity, and is entered as its check meter."""
    row = {**deepcopy(world.registered(on)), "id": f"{on}-check", "check_of": on}
    row["serial"] = f"S-{seed_of(row['id']) % 10**7}"
    row["calibrations"][0] |= {"serial": row["serial"], "certificate": f"C-{row['serial']}"}
    world.document["devices"].append(row)
    some = world.readings[on]
    columns = {
        name: values[0] + np.rint((values - values[0]) * by).astype(np.int64)
        if values.dtype.kind == "i" else values
        for name, values in some.columns.items()
    }  # fmt: skip
    world.readings[row["id"]] = Readings(some.class_id, some.time_us.copy(), columns)


@said
def unchecked(world: World, device: str) -> None:
    """A check meter is missing."""
    world.document["devices"] = [one for one in world.document["devices"] if one["id"] != device]
    del world.readings[device]


@said
def not_approved(world: World) -> None:
    """The monitoring plan has no approval by the programme."""
    world.approved = False


@said
def no_invoices(world: World, of: list[str] | None = None) -> None:
    """Invoices are missing."""
    world.invoices = [
        one for one in world.invoices if of is not None and not set(of) & set(one["devices"])
    ]


@said
def invoices(world: World, by: float = 1.0, of: list[str] | None = None, **values: Any) -> None:
    """Invoices state another amount, or other data."""
    for one in world.invoices:
        if of is None or set(of) & set(one["devices"]):
            one["amount"] = rounded(one["amount"] * by, one["unit"])
            one.update(values)
            for key in [k for k, v in values.items() if v == ""]:
                del one[key]


@said
def billed_from_5th(world: World, of: list[str], day: int = 5) -> None:
    """A supplier bills from the fifth of a month to the fifth of the next."""
    world.invoices = [one for one in world.invoices if not set(of) & set(one["devices"])]
    edges = [date(2026, month, day) for month in (2, 3, 4)]
    for name in of:
        world.invoices += [invoice(world, name, a, b) for a, b in pairwise(edges)]


@said
def billed_by_weeks(world: World, of: list[str]) -> None:
    """A supplier bills each week."""
    billed_over(world, of, str(world.month.first), str(world.month.end), 7)


@said
def billed_over(world: World, of: list[str], first: str, end: str, days: int = 0) -> None:
    """A supplier bills a longer time on one invoice, or parts of some days."""
    world.invoices = [one for one in world.invoices if not set(of) & set(one["devices"])]
    begin, after = date.fromisoformat(first), date.fromisoformat(end)
    step = days or (after - begin).days
    for name in of:
        for past in range(0, (after - begin).days, step):
            day = begin + timedelta(days=past)
            world.invoices.append(invoice(world, name, day, day + timedelta(days=step)))


@said
def billed_with(world: World, of: list[str], other: str, like: str, per_day: float) -> None:
    """One invoice covers several meters and a further consumer, which is also read."""
    outside(world, like, other, per_day, "not of the project")
    row = world.registered(other)
    (certificate,) = deepcopy(world.registered(like)["calibrations"])
    row["calibrations"] = [{**certificate, "serial": row["serial"], "certificate": "C-other"}]
    some = [one for one in world.invoices if set(of) & set(one["devices"])]
    world.invoices = [one for one in world.invoices if not set(of) & set(one["devices"])]
    whole = (
        sum(one["amount"] for one in some)
        + per_day / UNITS[billed(world, of[0])[1]][0] * (world.month.end - world.month.first).days
    )
    world.invoices.append(
        {**some[0], "devices": [*of, other], "amount": rounded(whole, some[0]["unit"])}
    )


@said
def billed_together(world: World, of: list[str], more: float = 0.0) -> None:
    """One invoice covers several meters, and all else on the line."""
    some = [one for one in world.invoices if set(of) & set(one["devices"])]
    world.invoices = [one for one in world.invoices if not set(of) & set(one["devices"])]
    whole = sum(one["amount"] for one in some) * (1 + more)
    world.invoices.append(
        {**some[0], "devices": list(of), "amount": rounded(whole, some[0]["unit"])}
    )


@said
def billed_too(world: World, of: list[str], issuer: str) -> None:
    """A third party invoices devices separately, in addition to the other invoices."""
    world.invoices += [
        invoice(world, name, world.month.first, world.month.end, issuer=issuer) for name in of
    ]


@said
def billed_until(world: World, of: str, end: str) -> None:
    """Only the true invoice of the first part of the month is provided."""
    world.invoices = [one for one in world.invoices if of not in one["devices"]]
    world.invoices.append(invoice(world, of, world.month.first, date.fromisoformat(end)))


@said
def own_bill(world: World, of: str, by: float, issuer: str) -> None:
    """An invoice is issued by a company that the owner chose."""
    one = invoice(world, of, world.month.first, world.month.end, issuer=issuer)
    world.invoices.append({**one, "amount": rounded(one["amount"] * by, one["unit"])})


@said
def contradicting(world: World, of: str, by: float, *, same_file: bool = False) -> None:
    """A second invoice of the same time states other data, with another file or the same."""
    one = next(i for i in world.invoices if of in i["devices"])
    second = {
        "id": f"{one['id']}-2",
        "number": f"{one['number']}-2",
        "amount": rounded(one["amount"] * by, one["unit"]),
        "sha256": one["sha256"] if same_file else sha(f"{one['id']} second"),
    }
    world.invoices.append({**one, **second})


@said
def corrected(
    world: World, of: str, wrong: float, reason: str = "typing error", *, same_file: bool = False
) -> None:
    """
    An invoice was entered with a wrong amount, and is corrected by another
    one or by its own file.
    """
    one = next(i for i in world.invoices if of in i["devices"])
    right = {**one, "id": f"{one['id']}-2", "corrects": one["id"], "reason": reason}
    if not same_file:
        right |= {"number": f"{one['number']}-2", "sha256": sha(f"{one['id']} corrected")}
    one["amount"] = rounded(one["amount"] * wrong, one["unit"])
    world.invoices.append(right)


@said
def exchanged(world: World, of: list[str]) -> None:
    """The invoices of two meters were entered for each other, and are entered again."""
    first, second = (next(i for i in world.invoices if one in i["devices"]) for one in of)
    for one, devices in ((first, second["devices"]), (second, first["devices"])):
        more = {"id": f"{one['id']}-2", "corrects": one["id"], "reason": "ids were exchanged"}
        world.invoices.append({**one, **more, "devices": devices})


@said
def billed_parts(
    world: World, of: list[str], edges: list[str], issuers: list[str] | None = None,
    by: list[float] | None = None,
) -> None:  # fmt: skip
    """Suppliers bill the time between edges, each a part, `by` times the true amount."""
    world.invoices = [one for one in world.invoices if not set(of) & set(one["devices"])]
    days = [date.fromisoformat(edge) for edge in edges]
    for name in of:
        for place, (begin, end) in enumerate(pairwise(days)):
            one = invoice(world, name, begin, end)
            if issuers:
                one["issuer"] = issuers[place]
            one["amount"] = rounded(one["amount"] * (by[place] if by else 1), one["unit"])
            world.invoices.append(one)


@said
def billed_at_hour(
    world: World, of: list[str], edges: list[str], hour: int, *, entered: bool = False
) -> None:
    """
    A supplier reads its meters at an hour of the day; its invoices state the days, or this hour
    too.
    """
    world.invoices = [one for one in world.invoices if not set(of) & set(one["devices"])]
    for name in of:
        made = world.made[name][billed(world, name)[0]]
        for begin, end in pairwise(edges):
            one = invoice(world, name, date.fromisoformat(begin), date.fromisoformat(end))
            times = world.month.times_us
            read = times_within(world, times, f"{begin}T{hour:02}:00", f"{end}T{hour:02}:00")
            amount = float(made[read].sum()) / UNITS[billed(world, name)[1]][0]
            if entered:
                at = (world.month.wall(f"{day}T{hour:02}:00") for day in (begin, end))
                one |= dict(zip(("from", "to"), (time.isoformat() for time in at), strict=True))
            world.invoices.append({**one, "amount": rounded(amount, one["unit"])})


@said
def one_document(world: World, of: list[str]) -> None:
    """The invoices of several meters are in one document, with one number and file."""
    some = [one for one in world.invoices if set(of) & set(one["devices"])]
    for one in some:
        one |= {"number": some[0]["number"], "sha256": some[0]["sha256"]}


@said
def settled_later(world: World, of: str, middle: str, by: float) -> None:
    """The first part of the month was billed by an estimate, and the second invoice settles it."""
    world.invoices = [one for one in world.invoices if of not in one["devices"]]
    day = date.fromisoformat(middle)
    first = invoice(world, of, world.month.first, day)
    second = invoice(world, of, day, world.month.end)
    wrong = rounded(first["amount"] * by, first["unit"])
    second["amount"] = rounded(second["amount"] + first["amount"] - wrong, second["unit"])
    first["amount"] = wrong
    world.invoices += [first, second]


@said
def credited(world: World, of: str, more: float) -> None:
    """An invoice states too much, and a credit note of the same days takes the excess back."""
    one = next(i for i in world.invoices if of in i["devices"])
    right = one["amount"]
    one["amount"] = rounded(right * more, one["unit"])
    note = {"id": f"{one['id']}-note", "number": f"{one['number']}-CN", "sha256": sha("note")}
    world.invoices.append({**one, **note, "amount": rounded(right - one["amount"], one["unit"])})


@said
def offset(world: World, of: str, share: float, estimates: int = 1) -> None:
    """
    The first invoices of a meter are too low by a share, and the next
    one adds the difference.
    """
    *low, last = [one for one in world.invoices if of in one["devices"]][: estimates + 1]
    for one in low:
        less = rounded(one["amount"] * share, one["unit"])
        one["amount"] = rounded(one["amount"] - less, one["unit"])
        last["amount"] = rounded(last["amount"] + less, last["unit"])


@said
def billed_by_tariff(world: World, of: list[str], shares: dict[str, float]) -> None:
    """An invoice has a line for each tariff of the day, and each line is entered as a row."""
    some = [one for one in world.invoices if set(of) & set(one["devices"])]
    world.invoices = [one for one in world.invoices if not set(of) & set(one["devices"])]
    for one in some:
        left = one["amount"]
        for number, (name, share) in enumerate(shares.items(), 1):
            amount = rounded(one["amount"] * share, one["unit"])
            amount = rounded(left, one["unit"]) if number == len(shares) else amount
            left -= amount
            world.invoices.append({**one, "id": f"{one['id']}-{name}", "amount": amount})


@said
def billed_net(world: World, of: str) -> None:
    """The buyer pays what was fed in less what was drawn at the same meter."""
    for one in (i for i in world.invoices if of in i["devices"]):
        times, days = world.month.times_us, (str(one["from"]), str(one["to"]))
        inside = times_within(world, times, *days)
        drawn = float(world.made[of]["energy_import_wh"][inside].sum()) / 1000
        one["amount"] = rounded(one["amount"] - drawn, one["unit"])

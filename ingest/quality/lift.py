"""
Most water that a pump's power lifts to its head, were pump and motor without loss.

Water lifts itself for nobody: rho g H joules a cubic metre, 2.725 Wh for each metre of head.
Real pumps take a tenth more at best and a half more as a rule, so what an honest flow meter
shows is never near the bound; one that runs three times too fast is beyond it.

Source: hydraulic power, P = rho g Q H, as in ISO 9906 and ANSI/HI 14.6.
"""

from __future__ import annotations

import numpy as np

from ingest.model import Float64

# rho g / 3600 at 4 Cel, for a millilitre and a metre of head
WH_PER_ML_M = 999.97 * 9.80665 / 3600 / 1e6
# below this nothing lifts: water runs by itself, and what friction takes is not told
_LEAST_HEAD_M = 0.5
# more than any river carries: that water is not bound
_UNBOUND = 1e15


def most_flow(power_w: Float64, head_m: Float64) -> Float64:
    """
    Return the most flow that a pump's power lifts. [mL/h]

    Parameters
    ----------
    power_w, head_m : float64 array, n
        Electric power of the drive [W] and head [m], read together.  Where the head was not
        read, the lowest that was counts: it lets the most through.

    Returns
    -------
    float64 array, n
        NaN where the power was not read, or no head was read at all.
    """
    read = np.isfinite(head_m)
    if not read.any():
        return np.full(len(power_w), np.nan)
    head = np.where(read, head_m, head_m[read].min())
    found: Float64 = np.where(
        head < _LEAST_HEAD_M, _UNBOUND, power_w / (WH_PER_ML_M * np.maximum(head, _LEAST_HEAD_M))
    )
    return np.where(np.isfinite(power_w), found, np.nan)

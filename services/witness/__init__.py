"""A witness of transparency logs (C2SP): cosigns heads that lead on from what it saw before."""

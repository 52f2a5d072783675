"""`python -m tests.docket`: every rule against labelled honest and fraudulent cases."""

import sys
import time

from tests.docket.closing import cases, run, server

if __name__ == "__main__":
    names = [n for n in cases() if not sys.argv[1:] or any(a in n for a in sys.argv[1:])]
    with server() as one:
        for name in names:
            begun = time.monotonic()
            found = run(one.url, name)
            r = found.t/found.truth_t if found.truth_t else 0
            print(cases()[name]["label"][0].upper(), f"{name:45} {found.truth_t:9.3f} {r:7.4f}", found.findings, {k: v for k, v in found.costs.items()}, found.refused, round(time.monotonic() - begun, 2))

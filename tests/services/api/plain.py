"""
Requests without certificate authorities: without TLS, loading them takes longer than the request.

The timeout is longer than any answer takes on a busy machine.
"""

import ssl
from functools import partial

import httpx

NO_AUTHORITIES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
PATIENCE_S = 120.0
request, get, head, post, stream = (
    partial(one, verify=NO_AUTHORITIES, timeout=PATIENCE_S)
    for one in (httpx.request, httpx.get, httpx.head, httpx.post, httpx.stream)
)

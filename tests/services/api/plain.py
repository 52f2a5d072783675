"""Requests that read no authorities: without TLS, reading them costs more than asking."""

import ssl
from functools import partial

import httpx

NO_AUTHORITIES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
request = partial(httpx.request, verify=NO_AUTHORITIES)
get, head, post, stream = (
    partial(one, verify=NO_AUTHORITIES) for one in (httpx.get, httpx.head, httpx.post, httpx.stream)
)

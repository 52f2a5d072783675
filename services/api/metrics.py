"""Metrics of the API's requests, by route, without addresses or ids."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.types import Scope

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Measures:
    """Counts and durations of requests."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "tonne_api_requests",
            "Requests answered, by route and status",
            ["method", "route", "status"],
            registry=registry,
        )
        self._seconds = Histogram(
            "tonne_api_request_seconds",
            "Time to answer a request",
            ["route"],
            buckets=_BUCKETS,
            registry=registry,
        )

    def count(self, scope: Scope, status: int, seconds: float) -> None:
        """Count an answered request."""
        route = getattr(scope.get("route"), "path", "unknown")
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

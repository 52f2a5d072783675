"""Grafana dashboards and alert rules of tonne, from short descriptions: `make dashboards`."""

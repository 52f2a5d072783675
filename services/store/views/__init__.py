"""Queries for people: console, lists, programme progress, device health."""

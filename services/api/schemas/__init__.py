"""Schemas of API requests and answers for OpenAPI; one file per group of routes."""

# ruff: noqa: F403 - the room's face: whatever its files define

from services.api.schemas.people import *
from services.api.schemas.programme import *
from services.api.schemas.registry import *
from services.api.schemas.statements import *

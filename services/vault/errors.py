"""
What can be wrong with an archive.

    ServerError
      VaultError     the place cannot be reached, is full or refuses us: try again later
    InputError
      DamagedError   what is there is not what was put there: nothing may be made from it
"""

from ingest.errors import InputError, ServerError


class VaultError(ServerError):
    """The archive's place cannot be used now."""


class DamagedError(InputError):
    """A file of the archive is missing, changed or foreign."""

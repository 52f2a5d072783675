"""
Error classes of input, registry and servers.

    TonneError
      InputError          wrong usage, file, key or payload; nothing was done, with the remedy
        ProfileError      an error in a class or profile file
        RegistryError     a device, site or project is not registered
        PayloadError      a payload that becomes a dead letter, with its reason
      ServerError         a server cannot be reached or refuses access
"""


class TonneError(Exception):
    """Base of all errors that tonne raises deliberately."""


class InputError(TonneError):
    """Bad input: the message names the thing, its value and the remedy."""


class ProfileError(InputError):
    """A device class file or profile file is wrong."""


class RegistryError(InputError):
    """An entry is missing in the registry, or is not accepted."""


class PayloadError(InputError):
    """A payload that cannot be used: `reason` names the kind, `detail` the case and the remedy."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class ServerError(TonneError):
    """A server cannot be reached, is too old or rejects the request."""

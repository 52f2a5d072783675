"""
What can be wrong with what we are given.

    TonneError
      InputError          bad usage, file, key or payload: nothing was done, say what to change
        ProfileError      a class or profile file contradicts itself
        RegistryError     a device, site or project that the registry does not hold
        PayloadError      a payload that becomes a dead letter, with its reason
      ServerError         a server cannot be reached or refuses us
"""


class TonneError(Exception):
    """Root of all errors that tonne raises on purpose."""


class InputError(TonneError):
    """Bad input: the message names the thing, its value and the remedy."""


class ProfileError(InputError):
    """A device class or profile file is wrong."""


class RegistryError(InputError):
    """The registry lacks or refuses something."""


class PayloadError(InputError):
    """A payload that cannot be used: `reason` names the kind, `detail` the case and the remedy."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class ServerError(TonneError):
    """A server cannot be reached, is too old or refuses us."""

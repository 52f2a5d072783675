"""Which database a command works on."""

from services.settings import Settings, SettingsError


def database_url() -> str:
    """
    Database of the settings, or of the local servers.

    Raises
    ------
    SettingsError
        When neither names one.
    """
    url = Settings().database_url
    if not url:
        raise SettingsError(
            "no database is named; set TONNE_DATABASE_URL=postgresql://user@host:5432/tonne, "
            "or start a local one with `tonne local up`"
        )
    return url

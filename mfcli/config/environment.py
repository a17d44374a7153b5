"""Settings as environment variables: `MFCLI_K=20` sets `k`."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from mfcli.config.settings import SETTINGS
from mfcli.config.synonyms import closest, meant_setting
from mfcli.errors import ConfigError, Param, Text, warn

_PREFIX = "MFCLI_"
# Kubernetes sets these in every container if a service is called mfcli, or mfcli-something.
_KUBERNETES = re.compile(
    r"MFCLI_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_\w+)?)?)"
)


def variable_of(name: str) -> str:
    """Return the environment variable of a setting."""
    return _PREFIX + name.upper()


def read_environment(
    environment: Mapping[str, str], options: Collection[str] = ()
) -> dict[str, Any]:
    """Read the settings in environment variables; empty variables are not set.

    Variables that start with MFCLI_ and are no setting get a warning, except those of Kubernetes.

    Parameters
    ----------
    environment : mapping of str
        Such as `os.environ`.
    options : collection of str
        Parameters that are no settings; a warning says that they have no variable.

    Returns
    -------
    dict
        Values by the names of the settings.

    Raises
    ------
    ConfigError
        If a value breaks the rule of its setting, or a variable has a name that was probably
        meant to be that of a setting.
    """
    given = {name: text for name, text in environment.items() if name.startswith(_PREFIX) and text}
    names = {variable_of(name): name for name in SETTINGS}
    for other in sorted(given.keys() - names.keys()):
        _check_other(other, options)
    return {
        names[variable]: _parsed(names[variable], text)
        for variable, text in sorted(given.items())
        if variable in names
    }


def _parsed(name: str, text: str) -> Any:
    try:
        return SETTINGS[name].parsed(text)
    except ConfigError as error:
        raise ConfigError(error.phrase(lambda param: variable_of(param.name))) from None


def _check_other(variable: str, options: Collection[str]) -> None:
    """Refuse a misspelled setting, and warn of any other variable that has no effect."""
    if _KUBERNETES.fullmatch(variable):
        return
    name = variable.removeprefix(_PREFIX).lower()
    close = None if name in options else meant_setting(name) or closest(name, SETTINGS)
    if close:
        remedy = f"did you mean {variable_of(close)}?"
        raise ConfigError(f"unknown environment variable {variable}", remedy=remedy)
    use: Text = ["use ", Param(name)] if name in options else "remove or rename it"
    warn(f"{variable} is not a setting, so it is ignored", remedy=use)

"""What can go wrong, by whose hand it has to be mended.

    MfcliError
    ├── UsageError      the command line; exit status 2
    ├── ConfigError     a setting, or the file it came from
    ├── DataError       a file of ratings
    ├── UnknownIdError  a user or item that the model does not know
    ├── ArtifactError   a file that mfcli wrote or is to write: split, model, history, metrics
    ├── LimitError      the machine: not enough memory
    └── TrainingError   the training itself

Every message is one line that names the place, the rule, the value and the remedy.
"""

from __future__ import annotations


class MfcliError(Exception):
    """Base of all errors that a user can mend; the command line prints it as one line."""

    exit_code = 1


class UsageError(MfcliError):
    """The command line asks for something that cannot be."""

    exit_code = 2


class ConfigError(MfcliError):
    """A setting breaks its rule, or a configuration file cannot be read."""


class DataError(MfcliError):
    """A file of ratings is missing, unreadable or breaks a rule."""


class UnknownIdError(MfcliError):
    """A user or an item is not in the model's vocabulary."""


class ArtifactError(MfcliError):
    """A split, model, history or metrics file is missing, damaged, newer or cannot be written."""


class LimitError(MfcliError):
    """The work needs more memory than there is."""


class TrainingError(MfcliError):
    """Training cannot go on."""

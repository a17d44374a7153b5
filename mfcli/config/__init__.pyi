from .durations import seconds_in as seconds_in
from .environment import read_environment as read_environment, variable_of as variable_of
from .files import (
    Chosen as Chosen,
    check_settings_file as check_settings_file,
    read_config as read_config,
    read_settings as read_settings,
    read_toml as read_toml,
    settings_text as settings_text,
    write_settings as write_settings,
)
from .metadata import (
    DATA as DATA,
    EVALUATION as EVALUATION,
    SPLIT as SPLIT,
    STAGES as STAGES,
    TRAINING as TRAINING,
)
from .settings import (
    CONFIG_FILE as CONFIG_FILE,
    DEFAULTS as DEFAULTS,
    SETTINGS as SETTINGS,
    Config as Config,
    checked as checked,
    seconds_of as seconds_of,
    settings_in as settings_in,
)
from .synonyms import (
    closest as closest,
    meant_setting as meant_setting,
    plain_name as plain_name,
)
from .values import value_text as value_text

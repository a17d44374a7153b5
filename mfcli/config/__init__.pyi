from .files import (
    Setting as Setting,
    check_new as check_new,
    command_with as command_with,
    settings_text as settings_text,
    write_settings as write_settings,
)
from .settings import (
    CONFIG_FILE as CONFIG_FILE,
    DEFAULTS as DEFAULTS,
    OF_SAMPLING as OF_SAMPLING,
    SETTINGS as SETTINGS,
    Config as Config,
    checked as checked,
    read_settings as read_settings,
    seconds_of as seconds_of,
)

from .main import app as app
from .signals import run_until_signal as run_until_signal

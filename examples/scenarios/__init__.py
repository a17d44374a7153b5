"""Scenarios of `examples/soak.py`: each disturbs mfcli in one way and counts losses."""

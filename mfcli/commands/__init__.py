"""The commands, a file each: options -> Config -> one call -> print.

Everything heavy is imported inside the commands, so that help and completion are instant.
"""

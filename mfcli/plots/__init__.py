"""Pictures of what happened; the only files that import matplotlib."""

"""The targets: each module has ``seeds()``, inputs to begin with, and ``check(data)``, which raises."""

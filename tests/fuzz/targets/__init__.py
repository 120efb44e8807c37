"""The targets: each module has ``seeds()`` to begin with, and ``check(data)``, which may raise."""

"""For all tests: hypothesis has no deadline, because machines are shared and noisy."""

import importlib.util

if importlib.util.find_spec("hypothesis"):
    from hypothesis import settings

    settings.register_profile("project", deadline=None, print_blob=True)
    settings.load_profile("project")

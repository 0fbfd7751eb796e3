"""What holds for every test."""

from __future__ import annotations

from hypothesis import settings

# A machine may be busy with other things; what hangs is ended by the time limit of pytest.
settings.register_profile("busy machine", deadline=None)
settings.load_profile("busy machine")

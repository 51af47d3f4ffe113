"""How the bundled models are trained, scored and published."""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads that wait spin no longer, see app.py; before torch loads

"""Model packs: a folder with a classifier and its card."""

import os

# ONNX Runtime would send usage data to its vendor without consent. This is turned off before the
# runtime can be imported; set the variable to 0 to allow it.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

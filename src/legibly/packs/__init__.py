"""Model packs: a folder with a classifier and its card."""

import os

# ONNX Runtime would collect usage data in the user's home and send them to its maker. Nobody agreed
# to that, so it is
# off before anything can import the runtime; whoever wants it sets the variable to 0.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

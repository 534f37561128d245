"""The services that artifacts are read from, one module (and its helpers) each."""

import os

# huggingface_hub reads these once, when it is imported, and would otherwise tell its makers of every
# start, look for a newer version of itself, and draw progress bars into our output.
for _switch in ("HF_HUB_DISABLE_TELEMETRY", "HF_HUB_DISABLE_UPDATE_CHECK", "HF_HUB_DISABLE_PROGRESS_BARS"):
    os.environ.setdefault(_switch, "1")

"""What takes long to import and is not of this repository, for the process of which servers are copies."""

import os

os.environ["HF_HUB_OFFLINE"] = "1"  # which is read on import

import gradio  # noqa: F401
import scipy.ndimage  # noqa: F401
import torch  # noqa: F401

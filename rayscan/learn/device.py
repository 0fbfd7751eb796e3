"""Where networks live."""

from __future__ import annotations

import torch

from rayscan.errors import ConfigError
from rayscan.learn.options import LearnOptions


def pick_device(options: LearnOptions) -> torch.device:
    """Return where networks live: the GPU when there is one, unless told otherwise.

    Raises
    ------
    ConfigError
        If a GPU is asked for and there is none.
    """
    if options.device == "cuda" and not torch.cuda.is_available():
        msg = "device = 'cuda': torch finds no usable GPU here; use device = 'auto' or 'cpu', or install a CUDA build"
        raise ConfigError(msg)
    if options.device != "auto":
        return torch.device(options.device)
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")

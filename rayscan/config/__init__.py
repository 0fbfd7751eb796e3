"""``scan.toml``: a scan as a file. Every key is explained by ``rayscan explain``."""

from __future__ import annotations

from rayscan.config.load import Configuration, dump_config, load_config

__all__ = ["Configuration", "dump_config", "load_config"]

"""The paper's settings by name."""

from __future__ import annotations

from rayscan import presets
from rayscan.learn.options import LearnOptions


def test_every_preset_is_a_valid_set_of_options_in_the_papers_sizes():
    """Each of the twelve can be used as options; the sizes are those of Fig. 3 and Table 2."""
    names = [name for name in vars(presets) if name.startswith("paper_")]
    assert len(names) == 12
    for name in names:
        options = LearnOptions(**getattr(presets, name))
        assert options.selection == "paper"
        sizes = (10_000, 1_000_000) if "cos3" in name else (300, 50_000)
        assert sizes == (options.K, options.L)
        assert (options.proposal == "random") == name.endswith("_random")
    assert presets.paper_mssm["surrogate"] == "similarity"
    assert presets.paper_mssm["initial"] == 100

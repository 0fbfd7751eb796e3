"""The settings of the DLScanner paper, by name: keyword arguments of `Scan`.

``Scan(space, tool, target, **presets.paper_mssm)`` runs the paper's method in the paper's sizes; add or override any
keyword as usual. The plain name is the similarity classifier with the map, the paper's headline; ``_mlp`` and
``_regressor`` change the network, ``_random`` leaves the map out.

References
----------
A. Hammad, R. Ramos, A. Chakraborty, P. Ko, S. Moretti, "DLScanner", arXiv:2412.19675: Fig. 3 (cos3, Eq. 14 and 15) and
Fig. 5 with Table 2 (MSSM). Networks, losses and the map's settings are those of `rayscan.learn.options.LearnOptions`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

_COS3 = {"selection": "paper", "K": 10_000, "L": 1_000_000, "random_share": 0.1, "initial": 10_000}
_MSSM = {"selection": "paper", "K": 300, "L": 50_000, "random_share": 0.1, "initial": 100}


def _preset(sizes: Mapping[str, Any], surrogate: str, proposal: str = "vegas") -> Mapping[str, Any]:
    return MappingProxyType({**sizes, "surrogate": surrogate, "proposal": proposal})


paper_cos3 = _preset(_COS3, "similarity")
paper_cos3_mlp = _preset(_COS3, "classifier")
paper_cos3_regressor = _preset(_COS3, "regressor")
paper_cos3_random = _preset(_COS3, "similarity", "random")
paper_cos3_mlp_random = _preset(_COS3, "classifier", "random")
paper_cos3_regressor_random = _preset(_COS3, "regressor", "random")

paper_mssm = _preset(_MSSM, "similarity")
paper_mssm_mlp = _preset(_MSSM, "classifier")
paper_mssm_regressor = _preset(_MSSM, "regressor")
paper_mssm_random = _preset(_MSSM, "similarity", "random")
paper_mssm_mlp_random = _preset(_MSSM, "classifier", "random")
paper_mssm_regressor_random = _preset(_MSSM, "regressor", "random")

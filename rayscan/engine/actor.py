"""An evaluator as a Ray actor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ray

from rayscan.engine.evaluator import Evaluator, worker_name
from rayscan.engine.freight import Freight, Unpacked
from rayscan.errors import RayscanError
from rayscan.sandbox.workshop import sweep
from rayscan.tools.base import Points


class EvaluatorActor:
    """An `Evaluator` as a Ray actor."""

    def __init__(
        self,
        freight: Freight,
        parameters: tuple[str, ...],
        run_id: str,
        keep: str,
        index: int,
        incarnation: int,
        scratch: str | None,
    ) -> None:
        self._evaluator: Evaluator | None = None
        self._unpacked: Unpacked | None = None
        self._freight, self._parameters = freight, parameters
        self._run_id, self._keep, self._name = run_id, keep, worker_name(index, incarnation)
        self._scratch = Path(scratch) if scratch else None
        self._first = incarnation == 0

    def where(self) -> str:
        """Return the id of the node that this evaluator was put on."""
        return str(ray.get_runtime_context().get_node_id())

    def ready(self) -> str:
        """Open the tool; return what it complains of, empty if nothing.

        Returned, not raised: Ray would bury the message in its own.
        """
        try:
            # Before the sweep, which takes away what nobody uses.
            self._unpacked = self._freight.unpack(str(self._scratch) if self._scratch else None)
            tool = self._unpacked.tool
            if self._first:
                sweep(self._scratch)
            # What the user's machine has, this node may lack.
            tool.check(self._parameters)
            self._evaluator = Evaluator(
                tool,
                self._parameters,
                self._run_id,
                self._name,
                self._scratch,
                keep=self._keep,
                remote=True,
            )
        except Exception as error:  # noqa: BLE001 - a user's tool may raise anything
            return str(error) if isinstance(error, RayscanError) else f"{type(error).__name__}: {error}"
        return ""

    def evaluate(self, points: Points) -> Any:
        """Stream outcomes of `points`."""
        assert self._evaluator is not None
        yield from self._evaluator.evaluate(points)

    def close(self) -> None:
        """Close the tool, and remove the scratch directory and those of evaluators that died here."""
        if self._evaluator is not None:
            self._evaluator.close()
        if self._unpacked is not None:
            self._unpacked.close()
        sweep(self._scratch, self._run_id)

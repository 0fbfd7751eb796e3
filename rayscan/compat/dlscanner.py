"""DLScanner's ``sampler`` with the same arguments and attributes, on rayscan.

Replace ``from DLScanner.gen_scanner import sampler`` by ``from rayscan.compat.dlscanner import sampler``; its functions
that draw a file of points are here, too.

References
----------
A. Hammad, R. Ramos, A. Chakraborty, P. Ko, S. Moretti, "DLScanner", arXiv:2412.19675, appendix A.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rayscan.compat.dlscanner_arguments import Array, check_limits, check_method, first_points, learning_options
from rayscan.compat.dlscanner_function import BatchFunction
from rayscan.compat.dlscanner_network import History, Model, losses
from rayscan.compat.dlscanner_plots import plot_contour, plot_hist, plot_hist_all, plot_scatter
from rayscan.errors import ConfigError
from rayscan.problem.constraints import Above
from rayscan.problem.space import Space
from rayscan.problem.target import Target
from rayscan.scan import Scan

__all__ = ["plot_contour", "plot_hist", "plot_hist_all", "plot_scatter", "sampler"]

if TYPE_CHECKING:
    from rayscan.learn.data import Rows
    from rayscan.learn.paper.method import CandidateProposer


class sampler:  # noqa: N801 - the predecessor's name
    """Scan a function of an array of points, ``K`` points a step.

    The first points are evaluated on construction; `advance` goes on. Whatever `verbose` is, the same seed gives the
    same points.

    Parameters
    ----------
    user_fun : callable
        Takes points ``(n, ndim)`` and returns ``(n,)`` or ``(n, outdim)``. A point at which it raises, or returns NaN,
        is a failed point: it stays in the table, with NaN, and the network learns where points fail.
    ndim : int
        Number of parameters.
    limits : array_like, shape (ndim, 2)
        Lower and upper end of each.
    outdim : int
        Numbers that the function returns for a point. The first one decides; the others are stored.
    method : {"Classifier", "Regressor", "Similarity", "Custom"}
        A network for the label (in target above 0.5), for the value, the similarity classifier of the paper, or `model`
        as a classifier.
    model : torch.nn.Module, optional
        For ``method="Custom"``: maps ``(n, ndim)`` to ``(n, 1)`` logits.
    optimizer : str
        ``"Adam"``.
    loss : str, optional
        That of the method; it cannot be another.
    samples0 : array_like, shape (n0, ndim), optional
        The first points, any number; ``K`` points that fill the space otherwise.
    out0 : array_like, shape (n0,) or (n0, outdim), optional
        Their values, if they are known.
    K : int
        Points a step.
    randpts : int, optional
        How many of them are drawn blindly; a tenth by default.
    L : int, optional
        Candidates a step; ``100 K`` by default.
    neurons, hlayers : int
        Of the network's hidden layers.
    learning_rate : float
    epochs, batch_size : int
        Upper bound of a training, which ends when a held-back part improves no more; points a gradient step.
    verbose : int
        1 prints a line a step.
    args : object, optional
        Further arguments of `user_fun`: a tuple of them, or one.
    use_vegas_map : bool
    vegas_frac : float, optional
        Share of the candidates drawn from the map; 0.1 by default.
    vegas_ninc : int
        The map's increments an axis.
    seed : int or sequence of int or None
        Of every random number; None draws one.
    callbacks : None
        Refused if given: they belong to another package.
    threshold_suggest : float, optional
        A candidate is taken for good above this probability, or a value for in target (regressor); 0.5 by default.
    out : path-like, optional
        A run directory: again = resume. Without it the points live as long as this object.
    evaluators : int
        Evaluators in a Ray cluster; 0 evaluates in this process.

    Attributes
    ----------
    limits : ndarray, shape (ndim, 2)
    K, L, ndim, outdim : int
    scan : Scan
        What does the work.

    Raises
    ------
    ConfigError
        For every argument that does not fit, before the function is called.
    """

    def __init__(
        self,
        user_fun: Callable[..., Any],
        ndim: int,
        limits: Any,
        outdim: int = 1,
        method: str = "Classifier",
        model: Any = None,
        optimizer: str = "Adam",
        loss: str | None = None,
        samples0: Any = None,
        out0: Any = None,
        K: int = 100,  # noqa: N803 - the field's symbol
        randpts: int | None = None,
        L: int | None = None,  # noqa: N803 - as above
        neurons: int = 100,
        hlayers: int = 4,
        learning_rate: float = 0.001,
        epochs: int = 1000,
        batch_size: int = 32,
        verbose: int = 1,
        args: Any = None,
        use_vegas_map: bool = True,
        vegas_frac: float | None = None,
        vegas_ninc: int = 100,
        seed: int | Sequence[int] | None = 42,
        callbacks: None = None,
        threshold_suggest: float | None = None,
        *,
        out: str | Path | None = None,
        evaluators: int = 0,
    ) -> None:
        surrogate = check_method(method, model, optimizer, loss, callbacks)
        self.limits = check_limits(ndim, limits)
        self.ndim, self.outdim, self.K, self.verbose = len(self.limits), outdim, K, verbose
        self.L = 100 * K if L is None else L
        self.method = method
        threshold = 0.5 if threshold_suggest is None else threshold_suggest
        self._learning = learning_options(
            surrogate, K=K, L=self.L, randpts=randpts, neurons=neurons, hlayers=hlayers, learning_rate=learning_rate,
            epochs=epochs, batch_size=batch_size, use_vegas_map=use_vegas_map, vegas_frac=vegas_frac,
            vegas_ninc=vegas_ninc, threshold=threshold,
        )  # fmt: skip
        self._space = Space({f"x{number}": pair for number, pair in enumerate(self.limits.tolist(), start=1)})
        self._tool = BatchFunction(user_fun, args, outdim)
        # The first output is called y whatever the function is.
        self._target = Target(y=Above(threshold)) if surrogate == "regressor" else Target(labels="y")
        self._seed = _seed(seed)
        self._out, self._evaluators = out, evaluators
        self._ends: list[int] = []
        self._begin(*first_points(samples0, out0, self.limits, outdim))

    def advance(
        self,
        steps: int = 1,
        epochs: int | None = None,
        batch_size: int | None = None,
        verbose: int | None = None,
        callbacks: None = None,
        vegas_ninc: int | None = None,
    ) -> None:
        """Evaluate `steps` times ``K`` more points, each time after learning from all before.

        Parameters
        ----------
        steps : int
        epochs, batch_size, vegas_ninc : int, optional
            From now on; the network is then trained anew.
        verbose : int, optional
            For these steps.
        callbacks : None

        Raises
        ------
        ConfigError
            For callbacks, and for other settings of a sampler with a run directory.
        """
        check_method(self.method, self._learning["surrogate"], "Adam", None, callbacks)
        wanted = {"epochs": epochs, "batch": batch_size, "ninc": vegas_ninc}
        changes = {k: v for k, v in wanted.items() if v is not None and v != self._learning[k]}
        if changes:
            self._change(changes)
        for step in range(1, steps + 1):
            self.scan.advance(1)
            self._took_step()
            if (self.verbose if verbose is None else verbose) > 0:
                inside = int(self.in_target.sum())
                sys.stdout.write(f"step {step} of {steps}: {inside} of {self._ends[-1]} points in target\n")

    # What there is so far -------------------------------------------------------------------------------------------

    @property
    def samples(self) -> Array:
        """Every point so far, in order: ``(n, ndim)``."""
        table = self.scan.result().table
        x = np.column_stack([table[name].to_numpy() for name in self._space.names])
        if self._given is not None:
            x[: len(self._given)] = self._given
        return x

    @property
    def samples_out(self) -> Array:
        """The function's values at `samples`: ``(n, outdim)``, NaN where it failed."""
        table = self.scan.result().table
        return np.column_stack([table[name].to_numpy() for name in self._tool.outputs])

    @property
    def in_target(self) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Which of `samples` are in target: ``(n,)``."""
        valid: np.ndarray[Any, np.dtype[np.bool_]] = self.scan.result().table["valid"].to_numpy()
        return valid

    @property
    def samples_list(self) -> list[Array]:
        """`samples` step by step, the first points first."""
        return np.split(self.samples, self._ends[:-1])

    @property
    def samples_out_list(self) -> list[Array]:
        """`samples_out` step by step."""
        return np.split(self.samples_out, self._ends[:-1])

    @property
    def model(self) -> Model:
        """The network, trained on all points so far, as a function of points in the units of `limits`."""
        return Model(self._learnt().surrogate, self.limits)

    @property
    def vegas_map_gen(self) -> Callable[[int], tuple[Array, Array]] | None:
        """The map, trained on all points so far: ``n`` to points ``(n, ndim)`` and Jacobian ``(n,)``, or None.

        The Jacobian is in the units of `limits`: the mean of ``f`` times it estimates the integral of ``f``.
        """
        if self._learning["proposal"] != "vegas":
            return None
        mapping, low, width = self._learnt().map, self.limits[:, 0], np.ptp(self.limits, axis=1)
        rng = np.random.default_rng([self._seed, len(self._ends)])

        def draw(n: int) -> tuple[Array, Array]:
            u, jacobian = mapping.sample(n, rng)
            return low + u * width, jacobian * float(np.prod(width))

        return draw

    @property
    def histories(self) -> list[History]:
        """One entry a training, `model`'s included: ``history["loss"]`` has the loss before and after it."""
        return [*self._histories, self._history(self._learnt(), self._rows())]

    # Behind it ------------------------------------------------------------------------------------------------------

    def _begin(self, given: Array | None, values: Array | None) -> None:
        """Start a scan, and evaluate the first points."""
        self._given = given
        first = self.K if given is None else len(given)
        if given is not None and values is not None:
            # What the scan will ask for, to the last digit.
            self._tool.know(self._space.to_physical(self._space.to_unit(given)), values)
        self.scan = Scan(
            self._space, self._tool, self._target, out=self._out, seed=self._seed, deterministic=True,
            evaluators=self._evaluators, initial=first if given is None else given, **self._learning,
        )  # fmt: skip
        self._histories: list[History] = []
        self._before: CandidateProposer | None = None
        self._proposer: CandidateProposer | None = None
        rows = self.scan.run(evaluations=first, progress=None).table.num_rows
        self._ends = self._ends or [*range(first, rows, self.K), rows]

    def _change(self, changes: dict[str, Any]) -> None:
        """Go on from all points so far with other settings."""
        if self._out is not None:
            msg = (
                f"advance({', '.join(changes)}): a sampler with out={str(self._out)!r} keeps its settings, so that it "
                "can be resumed; give them to sampler(), or leave out= away"
            )
            raise ConfigError(msg)
        self._learning |= changes
        old = self.scan
        # Another seed: with the same one the new scan would draw the old one's candidates again.
        self._seed = _seed([self._seed, len(self._ends)])
        self._begin(self.samples, self.samples_out)
        old.close()

    def _took_step(self) -> None:
        rows = self._rows()
        self._ends.append(len(rows))
        self._proposer, told = self._saved(rows)
        self._histories.append(self._history(self._proposer, rows[:told]))
        self._before, self._proposer = self._proposer, None

    def _history(self, now: CandidateProposer, rows: Rows) -> History:
        before = [] if self._before is None else [losses(self._before.surrogate, rows)]
        return History({"loss": [*before, losses(now.surrogate, rows)]})

    def _rows(self) -> Rows:
        from rayscan.store import RunDirectory
        from rayscan.store.arrays import as_rows

        result = self.scan.result()
        return as_rows(result.table, RunDirectory(result.path).schema)

    def _saved(self, rows: Rows) -> tuple[CandidateProposer, int]:
        """Return what the scan had learnt when it chose its last points, and from how many rows."""
        from rayscan.learn.paper.method import CandidateProposer
        from rayscan.learn.snapshot import from_bytes
        from rayscan.store import RunDirectory

        problem = self.scan.problem
        options, domain = self.scan.options.learn, self._space.domain
        proposer = CandidateProposer(domain, self._target, problem.observables, options, self._seed)
        saved = RunDirectory(self.scan.out).load_checkpoint()
        if saved is None:
            return proposer, 0
        checkpoint = from_bytes(saved[0])
        told = int(checkpoint["told"])
        proposer.load_state_dict(checkpoint["state"], rows[:told])
        return proposer, told

    def _learnt(self) -> CandidateProposer:
        """Learn from the last step, too, as the next one will begin by doing."""
        if self._proposer is None:
            rows = self._rows()
            proposer, told = self._saved(rows)
            proposer.tell(rows[told:])
            proposer.refit()
            self._proposer = proposer
        return self._proposer

    def __repr__(self) -> str:
        return f"sampler({self._tool.name}, ndim={self.ndim}, method={self.method!r}: {self._ends[-1]} points)"


def _seed(seed: int | Sequence[int] | None) -> int:
    """Return one number for a seed of any kind."""
    if isinstance(seed, int) and not isinstance(seed, bool):
        return seed
    try:
        sequence = np.random.SeedSequence(None if seed is None else [int(number) for number in np.atleast_1d(seed)])
    except (TypeError, ValueError):
        msg = f"seed = {seed!r}; expected a whole number >= 0, several of them, or None"
        raise ConfigError(msg) from None
    return int(sequence.generate_state(1)[0])

"""``.skops``: no code runs while such a file is read, as long as every type in it is one that has been looked at.

skops trusts scikit-learn's public estimators and asks about the rest. ``REVIEWED`` is our answer: types that only
hold numbers or other reviewed types, whose making has no effect; those that hold raw indices are checked by
``structures``. What the file itself says about its trustworthiness counts for nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

from tenfold.errors import ModelError
from tenfold.model import Model
from tenfold.models.objects import adapt
from tenfold.models.pickles import explained, of_notebook
from tenfold.models.structures import make_safe
from tenfold.models.versions import recorded

KERNELS = """CompoundKernel ConstantKernel DotProduct ExpSineSquared Exponentiation Matern PairwiseKernel Product RBF
    RationalQuadratic Sum WhiteKernel"""
METRICS = "Chebyshev Euclidean Hamming Manhattan Minkowski SEuclidean"
SCORES = {
    "_classification": "accuracy_score balanced_accuracy_score f1_score log_loss precision_score recall_score",
    "_ranking": "average_precision_score roc_auc_score",
    "_regression": "mean_absolute_error mean_squared_error r2_score",
}
SPLITTERS = """GroupKFold KFold LeaveOneOut RepeatedKFold RepeatedStratifiedKFold ShuffleSplit StratifiedGroupKFold
    StratifiedKFold StratifiedShuffleSplit TimeSeriesSplit"""

REVIEWED = frozenset(
    {
        "builtins.object",  # as a dtype, in make_column_selector
        "functools.partial",  # of a function that is itself listed
        "numpy.dtype",
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.calibration._SigmoidCalibration",
        "sklearn.compose._column_transformer._RemainderColsList",
        "sklearn.compose._column_transformer.make_column_selector",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",  # structures
        "sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace",
        "sklearn.impute._iterative.IterativeImputer",
        "sklearn.impute._iterative._ImputerTriplet",
        "sklearn.metrics._scorer._CurveScorer",
        "sklearn.metrics._scorer._PassthroughScorer",
        "sklearn.metrics._scorer._Scorer",
        "sklearn.neighbors._ball_tree.BallTree",  # structures
        "sklearn.neighbors._kd_tree.KDTree",  # structures
        "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
        "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
        "sklearn.tree._tree.Tree",  # structures
        "sklearn.utils._bunch.Bunch",
        "sklearn.utils._metadata_requests.MetadataRequest",
        "sklearn.utils._metadata_requests.MethodMetadataRequest",
        "sklearn.utils.validation.check_array",
        *(f"sklearn.gaussian_process.kernels.{name}" for name in KERNELS.split()),
        *(f"sklearn.metrics.{module}.{name}" for module, names in SCORES.items() for name in names.split()),
        *(
            f"sklearn.metrics._dist_metrics.{name}Distance{bits}"
            for name, bits in product(METRICS.split(), ("", "32", "64"))
        ),
        *(f"sklearn.model_selection._split.{name}" for name in SPLITTERS.split()),
    }
)


def load(path: Path, trusted: bool, threads: int) -> Model:
    """The scikit-learn model in a .skops file; ``trusted`` admits types that nobody has reviewed, such as your own."""
    import skops.io

    with recorded() as versions, explained(path, versions):
        unknown = skops.io.get_untrusted_types(file=path)
        _refuse_of_notebook(unknown, path)
        if not trusted:
            _refuse_unreviewed(unknown, path)
        loaded: Any = skops.io.load(path, trusted=unknown)
    if not trusted:
        make_safe(loaded, path.name)
    return adapt(loaded, threads, kind="skops", libraries=versions.found, own=True)


def _refuse_of_notebook(names: Sequence[str], path: Path) -> None:
    for module, _, name in (name.rpartition(".") for name in names):
        if module == "__main__":
            raise of_notebook(path, name)


def _refuse_unreviewed(names: Sequence[str], path: Path) -> None:
    if unknown := [name for name in names if name not in REVIEWED]:
        raise ModelError(
            f"{path.name} holds {', '.join(unknown[:5])}, which nobody has reviewed; loading it could run code",
            f'if you made the file: model = trust("{path.name}"); or only what predicts, as search.best_estimator_',
        )

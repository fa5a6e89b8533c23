"""What the benchmark serves, with everything switched on: bounds, a rule, an output contract, a deadline."""

from typing import Annotated, Any, Literal

import numpy as np

from tenfold import Batching, Contract, Deadline, Ge, Le, Rows, Service, rule


class Tumour(Contract):
    """One biopsy: ten measurements of its cell nuclei, each as mean, standard error and worst."""

    f0: Annotated[float, Ge(6.9), Le(29)]  # mean radius
    f1: Annotated[float, Ge(9.7), Le(40)]  # mean texture
    f2: Annotated[float, Ge(43), Le(190)]  # mean perimeter
    f3: Annotated[float, Ge(140), Le(2600)]  # mean area
    f4: Annotated[float, Ge(0.052), Le(0.17)]  # mean smoothness
    f5: Annotated[float, Ge(0.019), Le(0.35)]  # mean compactness
    f6: Annotated[float, Ge(0), Le(0.43)]  # mean concavity
    f7: Annotated[float, Ge(0), Le(0.21)]  # mean concave points
    f8: Annotated[float, Ge(0.1), Le(0.31)]  # mean symmetry
    f9: Annotated[float, Ge(0.049), Le(0.098)]  # mean fractal dimension
    f10: Annotated[float, Ge(0.11), Le(2.9)]  # radius error
    f11: Annotated[float, Ge(0.36), Le(4.9)]  # texture error
    f12: Annotated[float, Ge(0.75), Le(22)]  # perimeter error
    f13: Annotated[float, Ge(6.8), Le(550)]  # area error
    f14: Annotated[float, Ge(0.0017), Le(0.032)]  # smoothness error
    f15: Annotated[float, Ge(0.0022), Le(0.14)]  # compactness error
    f16: Annotated[float, Ge(0), Le(0.4)]  # concavity error
    f17: Annotated[float, Ge(0), Le(0.053)]  # concave points error
    f18: Annotated[float, Ge(0.0078), Le(0.079)]  # symmetry error
    f19: Annotated[float, Ge(0.00089), Le(0.03)]  # fractal dimension error
    f20: Annotated[float, Ge(7.9), Le(37)]  # worst radius
    f21: Annotated[float, Ge(12), Le(50)]  # worst texture
    f22: Annotated[float, Ge(50), Le(260)]  # worst perimeter
    f23: Annotated[float, Ge(180), Le(4300)]  # worst area
    f24: Annotated[float, Ge(0.071), Le(0.23)]  # worst smoothness
    f25: Annotated[float, Ge(0.027), Le(1.1)]  # worst compactness
    f26: Annotated[float, Ge(0), Le(1.3)]  # worst concavity
    f27: Annotated[float, Ge(0), Le(0.3)]  # worst concave points
    f28: Annotated[float, Ge(0.15), Le(0.67)]  # worst symmetry
    f29: Annotated[float, Ge(0.055), Le(0.21)]  # worst fractal dimension

    @rule()
    def worst_radius_is_not_below_the_mean(rows: Rows) -> Any:
        return rows.f20 >= rows.f0


class Diagnosis(Contract):
    label: Literal["benign", "malignant"]
    probability: Annotated[float, Ge(0), Le(1)]  # of malignant


class TumourCheck(Service):
    """Is it malignant? A scikit-learn pipeline."""

    input, output, model = Tumour, Diagnosis, "model.skops"

    def postprocess(self, scores: Any) -> dict[str, Any]:
        malignant = scores[:, 1]
        return {"label": np.where(malignant >= 0.5, "malignant", "benign"), "probability": malignant}

    batching = Batching(max_rows=64)
    deadline = Deadline("1 s")


class TumourCheckOnnx(TumourCheck):
    """Is it malignant? The same pipeline, in ONNX Runtime."""

    model = "model.onnx"

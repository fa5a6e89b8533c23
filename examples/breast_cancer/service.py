"""A service for tumours of the breast: thirty measures of a biopsy's cell nuclei in, a diagnosis out."""

from typing import Annotated, Literal

from tenfold import (
    Alias,
    Batching,
    Capacity,
    Contract,
    Deadline,
    Drift,
    Ge,
    Gt,
    Key,
    Le,
    Releases,
    Scaling,
    Service,
    clamp,
    flag,
    on_invalid,
    on_missing,
    rule,
)


# 1 What comes in; 2 what is valid, and what becomes of it otherwise.
class Tumour(Contract):
    """One biopsy, as the laboratory sends it: mean, error and worst of ten measures of its cell nuclei."""

    # The key is echoed and joins the labels that come later; the model never sees it.
    sample: Annotated[str, Key()]
    mean_radius: Annotated[float, Alias("mean radius"), Gt(0), Le(60)]
    # A missing texture becomes the median of the training rows, and the answer says so.
    mean_texture: Annotated[float, Alias("mean texture"), Ge(0), on_missing(18.84)]
    mean_perimeter: Annotated[float, Alias("mean perimeter"), Gt(0), Le(400)]
    mean_area: Annotated[float, Alias("mean area"), Gt(0)]
    mean_smoothness: Annotated[float, Alias("mean smoothness"), Ge(0), Le(0.3), on_invalid(clamp)]
    mean_compactness: Annotated[float, Alias("mean compactness"), Ge(0)]
    mean_concavity: Annotated[float, Alias("mean concavity"), Ge(0)]
    mean_concave_points: Annotated[float, Alias("mean concave points"), Ge(0)]
    mean_symmetry: Annotated[float, Alias("mean symmetry"), Ge(0)]
    mean_fractal_dimension: Annotated[float, Alias("mean fractal dimension"), Ge(0)]
    radius_error: Annotated[float, Alias("radius error"), Ge(0)]
    texture_error: Annotated[float, Alias("texture error"), Ge(0)]
    perimeter_error: Annotated[float, Alias("perimeter error"), Ge(0)]
    area_error: Annotated[float, Alias("area error"), Ge(0)]
    smoothness_error: Annotated[float, Alias("smoothness error"), Ge(0)]
    compactness_error: Annotated[float, Alias("compactness error"), Ge(0)]
    concavity_error: Annotated[float, Alias("concavity error"), Ge(0)]
    concave_points_error: Annotated[float, Alias("concave points error"), Ge(0)]
    symmetry_error: Annotated[float, Alias("symmetry error"), Ge(0)]
    fractal_dimension_error: Annotated[float, Alias("fractal dimension error"), Ge(0)]
    worst_radius: Annotated[float, Alias("worst radius"), Gt(0), Le(100)]
    worst_texture: Annotated[float, Alias("worst texture"), Ge(0)]
    worst_perimeter: Annotated[float, Alias("worst perimeter"), Gt(0)]
    worst_area: Annotated[float, Alias("worst area"), Gt(0)]
    worst_smoothness: Annotated[float, Alias("worst smoothness"), Ge(0)]
    worst_compactness: Annotated[float, Alias("worst compactness"), Ge(0)]
    worst_concavity: Annotated[float, Alias("worst concavity"), Ge(0)]
    worst_concave_points: Annotated[float, Alias("worst concave points"), Ge(0)]
    worst_symmetry: Annotated[float, Alias("worst symmetry"), Ge(0)]
    worst_fractal_dimension: Annotated[float, Alias("worst fractal dimension"), Ge(0)]

    @rule(on_invalid=flag)
    def worst_is_not_less_than_mean(rows):
        return (rows.worst_radius >= rows.mean_radius) & (rows.worst_area >= rows.mean_area)


class Diagnosis(Contract):
    label: Literal["benign", "malignant"]
    probability: Annotated[float, Ge(0), Le(1)]


class TumourCheck(Service):
    """Is it malignant?"""

    input, output, model = Tumour, Diagnosis, "model.skops"
    # 3 preprocess: the default, the fields in this order as a matrix, without the key
    # 4 postprocess: the default, the likelier label, and its probability
    batching = Batching(max_rows=64)  # 5 what waits goes together; nothing waits for more
    deadline = Deadline("50 ms")  # 6 what would be late is refused at once
    capacity = Capacity(at_least="500 rows/s")  # 7 a promise, until it is measured
    scaling = Scaling(min_replicas=1, max_replicas=4)  # 8 processes, at least and at most
    releases = Releases(steps=("1%", "10%", "50%"))  # 9 the traffic of a new release, step by step
    drift = Drift(labels_after="30 days")  # 10 when the truth about an answer is known

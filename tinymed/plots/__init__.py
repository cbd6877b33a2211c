"""Pictures of training and of its results.

Every function returns a ``matplotlib.figure.Figure`` and, given ``path``, saves it there in one piece. No window is
opened and no setting of matplotlib is changed, so that the functions work on machines without a display, and look
the same on all of them. The colours are told apart by colour-blind readers too (Okabe and Ito's palette), and nothing
is said by colour alone.
"""

from tinymed.plots.agreement import agreement
from tinymed.plots.charts import confusion, learning_curves, precision_recall, roc, roc_of_classes
from tinymed.plots.detection import box_sheet, detection_precision_recall, findings_sheet, froc, heat_sheet
from tinymed.plots.ecg import strips
from tinymed.plots.generative import (
    angle_curve,
    code_scatter,
    curve_panels,
    error_by_code_size,
    image_rows,
    samples_beside_real,
)
from tinymed.plots.images import prediction_sheet, sheet
from tinymed.plots.visits import errors_by, trajectories

__all__ = [
    "agreement",
    "angle_curve",
    "box_sheet",
    "code_scatter",
    "confusion",
    "curve_panels",
    "detection_precision_recall",
    "error_by_code_size",
    "errors_by",
    "findings_sheet",
    "froc",
    "heat_sheet",
    "image_rows",
    "learning_curves",
    "precision_recall",
    "prediction_sheet",
    "roc",
    "roc_of_classes",
    "samples_beside_real",
    "sheet",
    "strips",
    "trajectories",
]

"""How good is a model on patients that it has never seen? Splits without leaks, and cross-validation (floor 5).

For example, with one entry of ``patients`` for each image::

    from tinymed.validation import cross_validate

    result = cross_validate(build, x, y, folds=5, groups=patients, fit={"epochs": 10}, metrics={"auc": roc_auc})
    print(result)  # auc 0.912 ± 0.021 (5 folds)
"""

from tinymed.validation.crossing import CrossValidation, cross_validate
from tinymed.validation.leaks import check_apart, repeated
from tinymed.validation.splits import Fold, k_fold, train_val_test

__all__ = ["CrossValidation", "Fold", "check_apart", "cross_validate", "k_fold", "repeated", "train_val_test"]

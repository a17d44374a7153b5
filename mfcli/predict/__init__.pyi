from .predictor import (
    Counts as Counts,
    Predictor as Predictor,
    predict_file as predict_file,
    predict_named as predict_named,
)

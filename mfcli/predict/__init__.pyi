from .counts import PairCounts as PairCounts
from .named_pairs import predict_named as predict_named
from .pair_files import predict_file as predict_file
from .predictor import Predictor as Predictor

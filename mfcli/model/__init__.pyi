from .earlier_models import models_trained_on as models_trained_on
from .explanations import Explainer as Explainer
from .factorization import TABLES as TABLES
from .folded_in import (
    FoldedIn as FoldedIn,
    extended as extended,
    fold_in as fold_in,
    known_users as known_users,
)
from .folder import (
    KERAS_FILE as KERAS_FILE,
    MODEL_FILES as MODEL_FILES,
    StoredModel as StoredModel,
    check_same_split as check_same_split,
    read_model_record as read_model_record,
)
from .grouping import grouped as grouped
from .keras_file import (
    read_keras_file as read_keras_file,
    read_outline as read_outline,
    write_keras_file as write_keras_file,
)
from .model import Model as Model, initial_model as initial_model
from .network import ROW_PENALTY_LAYER as ROW_PENALTY_LAYER, Network as Network
from .newcomers import Newcomers as Newcomers, alone as alone
from .objective import (
    pair_targets as pair_targets,
    pair_weights as pair_weights,
    row_penalties as row_penalties,
)
from .orders import SORTS as SORTS, Order as Order
from .overlap import pairs_in as pairs_in, trained_pairs as trained_pairs
from .places import is_of_checkpoint as is_of_checkpoint, model_copy as model_copy
from .popularity import fractions_below as fractions_below
from .posterior import Posterior as Posterior
from .rated import Rated as Rated
from .rated_parts import (
    RatedParts as RatedParts,
    RatingPieces as RatingPieces,
    of_users as of_users,
)
from .rating_distribution import RatingDistribution as RatingDistribution
from .recommendation_tables import (
    recommended as recommended,
    recommended_now as recommended_now,
    recommended_tables as recommended_tables,
)
from .recommendations import (
    ArrangedItems as ArrangedItems,
    Similarity as Similarity,
    excluded as excluded,
    similar as similar,
    top_items as top_items,
    top_of_order as top_of_order,
    trained_parts as trained_parts,
    warn_untrained as warn_untrained,
)
from .row_estimates import with_estimated_rows as with_estimated_rows
from .run_folders import (
    MODEL_FOLDER as MODEL_FOLDER,
    model_folder as model_folder,
    models_of_run as models_of_run,
)
from .samples import (
    LEAST_SAMPLES as LEAST_SAMPLES,
    SAMPLE_FILES as SAMPLE_FILES,
    Samples as Samples,
    pooled as pooled,
)
from .shared_values import even_parts as even_parts, map_shared as map_shared
from .user_ranges import user_ranges as user_ranges

from .beyond_accuracy import (
    EXPOSURE_FORMULAS as EXPOSURE_FORMULAS,
    GAP_TERMS as GAP_TERMS,
    LIST_TERMS as LIST_TERMS,
    SUM_FORMULAS as SUM_FORMULAS,
)
from .formulas import USER_FORMULAS as USER_FORMULAS, RankedHits as RankedHits
from .ranked_items import ItemProperties as ItemProperties
from .relevant_items import RelevantItems as RelevantItems
from .validation import (
    VALIDATION_MEASURES as VALIDATION_MEASURES,
    RankedValidation as RankedValidation,
)

from .formulas import (
    ITEM_FORMULAS as ITEM_FORMULAS,
    SUM_FORMULAS as SUM_FORMULAS,
    SUM_TERMS as SUM_TERMS,
    USER_FORMULAS as USER_FORMULAS,
    RankedHits as RankedHits,
    RankedItems as RankedItems,
)
from .relevant_items import RelevantItems as RelevantItems
from .validation import (
    VALIDATION_MEASURES as VALIDATION_MEASURES,
    RankedValidation as RankedValidation,
)

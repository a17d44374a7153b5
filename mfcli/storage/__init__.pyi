from .arrays import write_arrays as write_arrays
from .atomic import (
    check_replaceable as check_replaceable,
    check_writable_file as check_writable_file,
    replacing_file as replacing_file,
    replacing_folder as replacing_folder,
)
from .compilation import (
    array_type as array_type,
    compiled as compiled,
    inlined as inlined,
    kernel as kernel,
)
from .digests import check_files as check_files, sha256 as sha256
from .journal import (
    Journal as Journal,
    JournalRecord as JournalRecord,
    open_journal as open_journal,
)
from .locks import locked as locked
from .memory import check_memory as check_memory
from .records import (
    Record as Record,
    Section as Section,
    Whole as Whole,
    json_text as json_text,
    parse_json as parse_json,
    read_json as read_json,
    read_record as read_record,
    record_values as record_values,
    to_record as to_record,
    to_section as to_section,
    write_record as write_record,
)
from .streams import stderr_held as stderr_held
from .threads import cores as cores, each as each, in_order as in_order

from .addresses import (
    as_local as as_local,
    joined as joined,
    parent_and_name as parent_and_name,
    without_options as without_options,
    without_secrets as without_secrets,
)
from .appended_lines import AppendedLines as AppendedLines
from .arrays import (
    PermutedRows as PermutedRows,
    mapped_array as mapped_array,
    read_arrays as read_arrays,
    write_array as write_array,
    write_arrays as write_arrays,
)
from .atomic import (
    check_replaceable as check_replaceable,
    check_writable_file as check_writable_file,
    replacing_file as replacing_file,
    replacing_folder as replacing_folder,
    replacing_folders as replacing_folders,
)
from .blas import one_blas_thread as one_blas_thread
from .byte_order_marks import marked_encoding as marked_encoding
from .byte_sizes import (
    BYTES_RULE as BYTES_RULE,
    bytes_of as bytes_of,
    bytes_text as bytes_text,
    exact_size as exact_size,
)
from .compilation import (
    array_type as array_type,
    compiled as compiled,
    inlined as inlined,
    kernel as kernel,
    tuple_type as tuple_type,
)
from .digests import DigestedFile as DigestedFile, sha256 as sha256
from .files import (
    MappedFile as MappedFile,
    exists as exists,
    mapped as mapped,
    open_regular as open_regular,
)
from .freed_memory import trim_memory as trim_memory
from .growing_file import GrowingFile as GrowingFile
from .inspection import inspecting as inspecting, nearest_folder as nearest_folder
from .items_ahead import read_ahead as read_ahead
from .journal import (
    Journal as Journal,
    JournalRecord as JournalRecord,
    open_journal as open_journal,
)
from .local_copies import (
    address_of as address_of,
    local_copy as local_copy,
    publish as publish,
)
from .locks import locked as locked
from .lost_mappings import on_lost_mapping as on_lost_mapping
from .mapped_pages import release as release
from .marks import check_not_result as check_not_result
from .memory import (
    available_memory as available_memory,
    check_memory as check_memory,
    room as room,
)
from .near_misses import did_you_mean as did_you_mean, near_misses as near_misses
from .object_stores import ObjectStore as ObjectStore
from .origins import Origin as Origin, origin_of as origin_of, set_origin as set_origin
from .process_resources import (
    Resources as Resources,
    current_resources as current_resources,
    is_limited as is_limited,
    resources as resources,
)
from .ranged_files import RangedFile as RangedFile, ranged_file as ranged_file
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
from .scratch_files import (
    scratch_errors as scratch_errors,
    scratch_file as scratch_file,
    scratch_folder as scratch_folder,
)
from .scratch_space import (
    MemorySpace as MemorySpace,
    Scratch as Scratch,
    check_space as check_space,
    lasting_scratch as lasting_scratch,
    scratch as scratch,
    space as space,
)
from .segments import Segments as Segments
from .shown_places import with_addresses as with_addresses
from .snapshots import open_files as open_files, whole as whole
from .streams import stderr_held as stderr_held
from .temporaries import remove_temporaries as remove_temporaries
from .threads import (
    Apply as Apply,
    cores as cores,
    each as each,
    in_order as in_order,
    share_threads as share_threads,
    threads_of as threads_of,
)

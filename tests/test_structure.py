"""Imports point downward only, and nothing heavy is loaded unless it is needed."""

from __future__ import annotations

import ast
import json
import pprint
import subprocess
import sys
import tomllib
from graphlib import TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest
from conftest import ROOT

LAYERS = [
    {"errors", "types"},
    {"aligned", "arguments", "spelling"},
    {"vectors"},
    {"storage"},
    {"clusters"},
    {"config"},
    {"data"},
    {"splits"},
    {"model"},
    {"rankings"},
    {"training"},
    {"evaluation"},
    {"search"},
    {"checks", "exports", "predict", "fetch", "show", "updates"},
    {"events"},
    {"plots", "pages"},
    {"reports", "server"},
    {"sklearn"},
    {"cli"},
]
"""Packages and top-level modules, from the bottom; each imports only from the lines above."""

HOMES: dict[str, set[str]] = {
    "tensorflow": {"training.keras", "exports.saved_model"},
    "keras": {"training.keras"},
    "matplotlib": {"plots"},
    "h5py": {"model"},
    "llvmlite": {"vectors"},
    "numba": {
        "storage",
        "vectors",
        "data",
        "splits",
        "model",
        "rankings",
        "training",
        "evaluation",
    },
    "typer": {"cli"},
    "pandas": set(),  # data frames come in through Arrow
    "optuna": {"search"},
    "msgspec": {"storage", "server"},  # requests and answers have types, as records have
    "filelock": {"storage"},
    "sklearn": {"sklearn"},
    "ray": {"clusters"},
    "jinja2": {"pages"},
    "starlette": {"server"},
    "uvicorn": {"server"},
}
"""The packages, or modules, that may import a library."""

IN_ONE_MODULE = {"keras", "h5py", "llvmlite", "optuna", "filelock", "sklearn"}
"""The libraries that a single module imports, so that little changes if they do."""

# fmt: off
INTERFACES: dict[str, list[str]] = {
 "checks": ["DataWarning", "Forecast", "Input", "Needed", "Output", "Report", "SearchFiles",
            "Training", "ValueBin", "check", "forecast_search", "forecast_split",
            "forecast_training", "serious_warnings"],
 "cli": ["app", "run_until_signal"],
 "clusters": ["Cluster", "Node", "OBJECT", "Peers", "Processor", "Processors", "RETRIES",
              "Reference", "WorkerLostError", "Workers", "cluster", "current_cluster"],
 "config": ["CONFIG_FILE", "Chosen", "Config", "DATA", "DEFAULTS", "EVALUATION", "SETTINGS",
            "SPLIT", "STAGES", "TRAINING", "check_settings_file", "checked", "closest",
            "meant_setting", "plain_name", "read_config", "read_environment", "read_settings",
            "read_toml", "seconds_in", "seconds_of", "settings_in", "settings_text", "value_text",
            "variable_of", "write_settings"],
 "data": ["Buckets", "Columns", "Counted", "CountedColumns", "EXPLICIT", "EmptyFileError",
          "IMPLICIT", "Ids", "Layout", "MANY", "NO_PART", "PAIRS", "PLAUSIBLE", "PairPiece",
          "RatedValues", "Ratings", "RatingsLike", "Refused", "Scale", "SkippedRows", "Source",
          "Survey", "TextTable", "Translation", "UNITS", "Vocabulary", "as_pairs", "as_ratings",
          "check_table_suffix", "column_sum", "common_feedback", "concatenated", "counted_values",
          "counts_of", "csv_bytes", "csv_parts", "find_layout", "find_rows", "found_as_text",
          "guarded", "guarded_text", "header_with", "id_array", "is_number", "is_table",
          "joined_ratings", "joined_tables", "merge_duplicates", "open_sources", "pairs_from",
          "pairwise_sum", "pieces_in_turn", "pieces_of", "place_of", "plain_integers",
          "positions", "ratings_from", "read_buckets", "read_columns", "read_ids", "read_pairs",
          "read_ratings", "read_ratings_arrow", "read_titles", "read_vocabulary", "rows_of",
          "scale_of", "schema_with", "selected_counts", "side_names", "survey_ratings",
          "to_arrow", "to_arrow_mask", "to_numpy", "to_texts", "unit_of", "united", "unknown_id",
          "value_counts", "write_ratings", "write_tables", "write_vocabulary"],
 "evaluation": ["ActivityError", "BASELINES", "BEYOND", "Breakdown", "CalibrationPoint",
                "Comparison", "ComparisonRow", "CrossValidation", "FoldMetrics", "GROUPS",
                "MEASURES", "METRICS_FILE", "Measure", "Metrics", "MonthError", "Overlap",
                "Protocol", "RANKING", "RANKING_SETTINGS", "RATING_ERROR", "RankedGroup",
                "RankingBreakdown", "RatingError", "Residuals", "UNCERTAINTY", "Verdict",
                "at_cutoff", "check_comparison_suffix", "compare", "comparison_rows",
                "comparison_title", "cross_validate", "evaluate", "interval_text", "is_metrics",
                "looks_like_metrics", "measure_of", "measures_of", "metrics_file", "metrics_in",
                "metrics_name", "ranks_only", "read_metrics", "run_names", "write_comparison"],
 "events": ["Event", "EventLog", "Followed", "Follower", "LogReader", "LoggedTraining",
            "TensorBoard", "followed", "is_log", "named_histories", "read_log", "run_name"],
 "exports": ["Exported", "FORMATS", "check_request", "export"],
 "fetch": ["Fetched", "NAMES", "fetch_movielens"],
 "model": ["ArrangedItems", "Explainer", "FoldedIn", "KERAS_FILE", "LEAST_SAMPLES", "MODEL_FILES",
           "MODEL_FOLDER", "Model", "Network", "Newcomers", "Order", "Posterior",
           "ROW_PENALTY_LAYER", "Rated", "RatedParts", "RatingDistribution", "RatingPieces",
           "SAMPLE_FILES", "SORTS", "Samples", "Similarity", "StoredModel", "TABLES", "alone",
           "check_same_split", "even_parts", "excluded", "extended", "fold_in", "fractions_below",
           "grouped", "initial_model", "is_of_checkpoint", "known_users", "map_shared",
           "model_copy", "model_folder", "models_of_run", "models_trained_on", "of_users",
           "pair_targets", "pair_weights", "pairs_in", "pooled", "read_keras_file",
           "read_model_record", "read_outline", "recommended", "recommended_now",
           "recommended_tables", "row_penalties", "similar", "top_items", "top_of_order",
           "trained_pairs", "trained_parts", "user_ranges", "warn_untrained",
           "with_estimated_rows", "write_keras_file"],
 "pages": ["Axis", "Bars", "Chart", "Interval", "Line", "asset", "bar_chart", "document",
           "interval_chart", "is_long", "isolated", "line_chart", "rendered", "shortened"],
 "plots": ["DPI", "Size", "check_size", "check_suffix", "plot", "plot_comparison",
           "plot_histories", "plot_metrics", "plot_search", "with_trainings"],
 "predict": ["IdFinder", "ListReading", "ListedTitles", "PairCounts", "Predictor", "Uncertainty",
             "all_rows", "candidates", "check_trained", "listed_rows", "predict_file",
             "predict_named", "ranking_quality", "rated_pairs", "recommend", "similar",
             "trained_row", "with_title_columns", "with_titles"],
 "rankings": ["EXPOSURE_FORMULAS", "GAP_TERMS", "ItemProperties", "LIST_TERMS", "RankedHits",
              "RankedValidation", "RelevantItems", "SUM_FORMULAS", "USER_FORMULAS",
              "VALIDATION_MEASURES"],
 "reports": ["HtmlReport", "report"],
 "search": ["Attempt", "Candidate", "PURPOSES", "SEARCHED", "Search", "SearchPlan", "Tuned",
            "advise", "better_candidate", "found_candidate", "importance_of", "init_command",
            "plan_search", "purpose_of", "read_space", "recommended_candidate",
            "recommended_config", "settings_from", "summary", "title_of", "tune",
            "with_validation"],
 "server": ["Application", "LOCAL", "application", "serve"],
 "show": ["Artifact", "changed", "defaults_beside", "described_settings", "facts_of", "find",
          "split_beside", "versions"],
 "splits": ["Changes", "DividedFolds", "Division", "Extent", "Folds", "PARTS", "REJECTED",
            "Revision", "SPLIT_FILES", "SPLIT_FOLDER", "ScaleSection", "Split", "TakenFile",
            "assembled", "check_parts", "check_strategy", "check_updatable", "describe_split",
            "divide", "divide_given", "folds_of", "hash_at", "held_out_rows", "ratings_of",
            "read_folds", "read_split", "revised", "split", "split_folder", "split_given",
            "split_hash", "split_hashes", "split_parent", "write_split"],
 "storage": ["AppendedLines", "Apply", "BYTES_RULE", "DigestedFile", "GrowingFile", "Journal",
             "JournalRecord", "MappedFile", "MemorySpace", "ObjectStore", "Origin",
             "PermutedRows", "RangedFile", "Record", "Resources", "Scratch", "Section",
             "Segments", "Whole", "address_of", "array_type", "as_local", "available_memory",
             "bytes_of", "bytes_text", "check_memory", "check_not_result", "check_replaceable",
             "check_space", "check_writable_file", "compiled", "cores", "current_resources",
             "did_you_mean", "each", "exact_size", "exists", "in_order", "inlined", "inspecting",
             "is_limited", "joined", "json_text", "kernel", "lasting_scratch", "local_copy",
             "locked", "mapped", "mapped_array", "marked_encoding", "near_misses",
             "nearest_folder", "on_lost_mapping", "one_blas_thread", "open_files", "open_journal",
             "open_regular", "origin_of", "parent_and_name", "parse_json", "publish",
             "ranged_file", "read_ahead", "read_arrays", "read_json", "read_record",
             "record_values", "release", "remove_temporaries", "replacing_file",
             "replacing_folder", "replacing_folders", "resources", "room", "scratch",
             "scratch_errors", "scratch_file", "scratch_folder", "set_origin", "sha256",
             "share_threads", "space", "stderr_held", "threads_of", "to_record", "to_section",
             "trim_memory", "tuple_type", "whole", "with_addresses", "without_options",
             "without_secrets", "write_array", "write_arrays", "write_record"],
 "training": ["BestEpoch", "CHECKPOINT_FILES", "CHECKPOINT_FOLDER", "Checkpoint", "Diverged",
              "Epoch", "Fit", "HISTORY_FILE", "History", "Hooks", "Keeper", "MSE_NAMES", "Plan",
              "Prepared", "ValidationMeasure", "check_same_run", "check_writable", "continued",
              "fit", "has_effects", "link_checkpoint", "looks_like_history", "make_plan",
              "plan_refit", "prepare", "read_checkpoint", "refit_config", "results_in", "resumed",
              "row_size", "training_memory", "turning_points", "update_epochs",
              "write_checkpoint"],
 "updates": ["Continuation", "Outcome", "Places", "UpdatableRun", "Updated", "locked_places",
             "places_of", "update"]}
# fmt: on
"""The names that each package offers to other packages and to Python."""


class Import(NamedTuple):
    """An import of one name, anywhere in a file.

    Attributes
    ----------
    source : str
        The importing module, without "mfcli.".
    target : str
        The package or module that is imported from, without "mfcli.".
    name : str
    """

    source: str
    target: str
    name: str


def modules() -> dict[str, Path]:
    """Return the file of each module and package by name, without "mfcli."."""
    found = {}
    for path in sorted((ROOT / "mfcli").rglob("*.py")):
        name = ".".join(path.relative_to(ROOT / "mfcli").with_suffix("").parts)
        found[name.removesuffix(".__init__")] = path
    return found


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports() -> list[Import]:
    """Return all imports within mfcli; in `from mfcli import data`, "data" is the name."""
    found = []
    for source, path in modules().items():
        for node in ast.walk(parsed(path)):
            if (
                isinstance(node, ast.ImportFrom)
                and (node.module or "").partition(".")[0] == "mfcli"
            ):
                target = str(node.module).partition(".")[2]
                found += [Import(source, target, alias.name) for alias in node.names]
            elif isinstance(node, ast.Import):
                names = [a.name for a in node.names if package(a.name) == "mfcli"]
                found += [Import(source, name.partition(".")[2], "") for name in names]
    return found


def package(module: str) -> str:
    return module.partition(".")[0]


def layer(module: str) -> int:
    return next(n for n, names in enumerate(LAYERS) if package(module) in names)


def interface(name: str) -> dict[str, str]:
    """Return the names that a package offers, and the module that defines each."""
    stub = ROOT / "mfcli" / name / "__init__.pyi"
    return {
        alias.name: f"{name}.{node.module}"
        for node in ast.walk(parsed(stub))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


PACKAGES = sorted(path.parent.name for path in (ROOT / "mfcli").glob("*/__init__.py"))


def interfaces() -> dict[str, list[str]]:
    return {name: sorted(interface(name)) for name in PACKAGES}


def list_interfaces() -> None:
    """Write the interfaces into this file."""
    path = Path(__file__)
    before, start, rest = path.read_text(encoding="utf-8").partition("# fmt: off\n")
    end = rest.index("# fmt: on")
    listed = pprint.pformat(interfaces(), width=98, compact=True).replace("'", '"')
    literal = f"INTERFACES: dict[str, list[str]] = {{\n {listed[1:]}\n"
    path.write_text(f"{before}{start}{literal}{rest[end:]}", encoding="utf-8")


def test_the_repository_holds_nothing_else() -> None:
    """Results of commands that ran in the checkout are easily added to it by mistake."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a checkout of Git")
    found = {path.partition("/")[0] for path in listed.stdout.splitlines()}
    assert found == {
        ".ci", ".gitignore", "LICENSE", "README.md", "examples", "mfcli", "pyproject.toml", "tests"
    }  # fmt: skip


def test_every_package_offers_what_is_listed() -> None:
    """After a deliberate change, list the interfaces with `python tests/test_structure.py`."""
    assert interfaces() == INTERFACES


def test_every_package_has_a_layer() -> None:
    tops = {package(name) for name in modules()} - {"__init__", "__main__"}
    assert tops == set().union(*LAYERS)


def test_packages_import_only_from_the_layers_below() -> None:
    for one in imports():
        target = one.target or one.name
        if one.source not in ("__init__", "__main__") and target != "__version__":
            inside = package(target) == package(one.source)
            assert inside or layer(target) < layer(one.source), one


def test_packages_use_only_the_interfaces_of_others() -> None:
    for one in imports():
        if one.target and package(one.target) != package(one.source):
            assert one.target == package(one.target), one
            if one.target in PACKAGES and one.name:
                assert one.name in interface(one.target), one


def test_there_are_no_import_cycles() -> None:
    known, homes = modules(), {name: interface(name) for name in PACKAGES}
    graph: dict[str, set[str]] = {name: set() for name in known}
    for one in imports():
        module = f"{one.target}.{one.name}".strip(".")
        if module in known and module not in PACKAGES:
            graph[one.source].add(module)
        elif one.target in homes:
            graph[one.source].add(homes[one.target].get(one.name, one.target))
        elif one.target:
            graph[one.source].add(one.target)
    list(TopologicalSorter(graph).static_order())  # raises CycleError, which names the modules


def libraries(path: Path) -> set[str]:
    """Return the top-level packages that a file imports."""
    names: set[str] = set()
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return set(map(package, names))


def test_heavy_imports_have_one_home() -> None:
    users: dict[str, list[str]] = {library: [] for library in HOMES}
    for name, path in modules().items():
        for library in libraries(path) & HOMES.keys():
            users[library].append(name)
            homes = HOMES[library]
            assert name in homes or package(name) in homes, f"{name} imports {library}"
    for library in IN_ONE_MODULE:
        assert len(users[library]) == 1, f"{library} is imported by {users[library]}"


def test_the_oldest_supported_versions_are_tested() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    bounds = {line.partition(",")[0].replace(">=", "==") for line in project["dependencies"]}
    tested = (ROOT / "tests" / "lowest.txt").read_text(encoding="utf-8").splitlines()
    assert bounds == {line for line in tested if not line.startswith("#")}


LOADED = """
import json, sys
from mfcli.cli import app
for args in json.loads(sys.argv[1]):
    try:
        app(args, prog_name="mfcli")
    except SystemExit as end:
        assert not end.code, args
    names = {name.partition(".")[0] for name in sys.modules}
    names |= {"pyarrow.compute"} & set(sys.modules)
    print("LOADED", *sorted(names), file=sys.stderr)
"""


def loaded(folder: Path, *commands: list[str]) -> list[set[str]]:
    """Run commands one after another in a new process; return the modules loaded after each."""
    done = subprocess.run(
        [sys.executable, "-c", LOADED, json.dumps(commands)],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("LOADED ")]
    assert len(lines) == len(commands)
    return [set(line.split()[1:]) for line in lines]


HEAVY = {"numpy", "pandas", "numba", "pyarrow", "h5py", "matplotlib", "tensorflow", "keras"}
HEAVY |= {"msgspec", "filelock", "ctypes"}  # only reading and writing needs these
HEAVY |= {"jinja2", "starlette", "uvicorn"}


def test_help_loads_nothing_heavy(tmp_path: Path) -> None:
    commands = [
        ["--help"],
        ["--version"],
        *([name, "--help"] for name in ("split", "train", "show", "report", "serve", "plot")),
    ]
    for args, modules in zip(commands, loaded(tmp_path, *commands), strict=True):
        assert not modules & HEAVY, args


def test_commands_load_only_what_they_need(tmp_path: Path, real_csv: Path) -> None:
    """Commands that may load the same modules share a process."""
    (tmp_path / "new.csv").write_text("user,item,rating\nanna,1,4\nanna,x,3\n")
    data = str(real_csv)
    stages = [
        ({"matplotlib", "h5py", "numba"}, [["split", data]]),
        ({"matplotlib", "pandas", "pyarrow.compute"}, [["train", "--epochs", "1"]]),
        (
            {"matplotlib", "pandas", "numba"},
            [
                ["evaluate"],
                ["predict", data, "--out", "p.csv"],
                ["predict", data, "--out", "p.parquet"],
                ["predict", "--user", "1", "--item", "2"],
                ["show"],
                *(
                    ["export", "--format", name]
                    for name in ("keras", "npz", "csv", "parquet", "vectors")
                ),
            ],
        ),
        (
            {"matplotlib", "numba"},
            [["fold-in", "new.csv", "--extend", "more"], ["export", "--format", "libmf"]],
        ),
        (
            {"matplotlib", "pandas"},
            [
                ["recommend", "--user", "1"],
                ["recommend", "--all", "--out", "r.parquet"],
                ["evaluate", "--ranking"],
            ],
        ),
        ({"matplotlib"}, [["check", data], ["report"]]),
        ({"pandas", "numba"}, [["plot", "history.json"]]),
    ]
    for light, commands in stages:
        for args, modules in zip(commands, loaded(tmp_path, *commands), strict=True):
            assert not modules & ({"tensorflow", "keras"} | light), args


if __name__ == "__main__":
    list_interfaces()

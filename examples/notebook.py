"""Every name of the Python API in one session, on generated ratings.

    python examples/notebook.py

Editors that know `# %%` cells, such as VS Code and Spyder, run this file cell by cell. It writes to
the working folder. The last cell needs scikit-learn.
"""

# %% Ratings: a data frame, an Arrow table, polars, three arrays, a mapping of arrays, or a path
import numpy as np
import pandas as pd
import pyarrow as pa

import mfcli

rng = np.random.default_rng(0)
taste, kind = rng.normal(0, 0.6, (300, 3)), rng.normal(0, 0.6, (120, 3))
user, item = np.nonzero(rng.random((300, 120)) < 0.2)
stars = np.clip(np.round(3.5 + (taste @ kind.T)[user, item] + rng.normal(0, 0.5, len(user))), 1, 5)
frame = pd.DataFrame({"user": user, "item": [f"film {n}" for n in item], "rating": stars})
frame.to_csv("ratings.csv", index=False)

ratings: mfcli.Ratings = mfcli.ratings_from(frame)
print(f"mfcli {mfcli.__version__}: {ratings}")
for same in (
    mfcli.ratings_from(pa.table(frame)),
    mfcli.ratings_from(frame["user"], frame["item"], frame["rating"]),
    mfcli.ratings_from(frame.to_dict("list")),
    mfcli.ratings_from("ratings.csv"),
    mfcli.read_ratings("ratings.csv", duplicates="mean"),
):
    assert len(same) == len(ratings)

# %% Checks: what the ratings are, and what may be wrong with them
report: mfcli.Report = mfcli.check(ratings)
print(f"{report.density:.1%} of all pairs are rated; warnings: {len(report.warnings)}")

# %% Splits: at random, in folds, or given; all functions take ratings in any of these forms
parts: mfcli.Split = mfcli.split(frame, mfcli.Config(valid=0.1))
folds: mfcli.Folds = mfcli.split(ratings, folds=3)
given = mfcli.Split.of(train=frame[::2], test=frame[1::4], valid=frame[3::4])
mfcli.write_split("split", parts)
mfcli.write_split("folds", folds)
parts = mfcli.read_split("split")
assert len(mfcli.read_folds("folds")) == len(folds)
print(parts, given, sep="\n")

# %% Training
print(mfcli.recommended_config(parts))
config = mfcli.Config(k=4, optimizer="gibbs", epochs=30)
fitted: mfcli.Fit = mfcli.fit(parts, config, on_epoch=lambda epoch: None)
history: mfcli.History = fitted.history
fitted.write("runs/gibbs")
model: mfcli.Model = mfcli.Model.load("runs/gibbs/model")
print(f"{model}, {len(history)} epochs")

# %% The same within a limit of memory: what does not fit goes through temporary files
with mfcli.resources(memory="2GB"):
    assert mfcli.fit(parts, config).losses == fitted.losses

# %% Users and items are tables: id, count, bias, factors
items = model.items.to_pandas()
print(items.sort_values("bias").tail(3))
print(pa.table(model.users).schema.names)

# %% Evaluation, with intervals
metrics: mfcli.Metrics = mfcli.evaluate(model, parts, ranking=True)
metrics.write("runs/gibbs/metrics.json")
assert mfcli.read_metrics("runs/gibbs").measures == metrics.measures
low, high = metrics.intervals["rmse"] or (np.nan, np.nan)
print(f"RMSE {metrics.measures['rmse']:.4f} ({low:.4f} to {high:.4f})")

other = mfcli.evaluate(mfcli.fit(parts, mfcli.Config(k=4)).model, parts, ranking=True)
comparison: mfcli.Comparison = mfcli.compare({"gibbs": "runs/gibbs", "sgd": other})
print(comparison.settings["optimizer"], comparison.difference("rmse", "sgd"))


# %% A model of all ratings, for as many epochs as were best; no ratings are left to measure it
final = mfcli.fit(parts.union(), mfcli.refit_config(config, history))
print(final, final.model.trained_on)


# %% Cross-validation, with measures of your own and intervals over the folds
def too_high(truth: np.ndarray, prediction: np.ndarray) -> float:
    """Return the fraction of predictions that are more than a star too high."""
    return float(np.mean(prediction > truth + 1))


crossed: mfcli.CrossValidation = mfcli.cross_validate(
    frame, config, measures=["rmse", too_high], folds=3
)
over_folds: mfcli.FoldMetrics = crossed.metrics
print(crossed.to_pandas(), over_folds.measures["mae"], sep="\n")

# %% Search
tuned: mfcli.Tuned = mfcli.tune(
    parts, mfcli.Config(epochs=5), trials=9, space={"k": {"low": 2, "high": 8}, "lr": [0.02, 0.08]}
)
print(tuned)

# %% Pictures
print(mfcli.plot({"gibbs": fitted, "sgd": mfcli.fit(parts, tuned.config)}, "histories.svg"))
print(mfcli.plot(metrics), mfcli.plot(tuned))

# %% A report of runs in one HTML file
fitted.write("runs/gibbs")
page: mfcli.HtmlReport = mfcli.report("runs/gibbs", split=parts, users=[42])
print(page, page.write("report.html"))

# %% Predictions, recommendations, similar items
print(model.predict(frame.head(3)), model.predict(42, ["film 1", "film 2"]))
print(mfcli.recommend(model, [42, 43], n=2, exclude=parts, min_count=20).to_pandas())
print(mfcli.similar(model, "film 7", n=3).to_pandas())

# %% New users and items without training; known users, with their training ratings
new: mfcli.FoldedIn = mfcli.fold_in(model, (["anna", "anna"], ["film 1", "film 2"], [5, 1]))
print(mfcli.recommend(new.model, "anna", n=2, exclude=new.rated).to_pandas())
more = mfcli.fold_in(model, ([42, 43], ["film new", "film new"], [5, 4]), split=parts)
print(mfcli.extended(model, new), mfcli.extended(model, more).items.to_pandas().tail(1))

# %% New ratings, without starting over
sgd_fit = mfcli.fit(parts, mfcli.Config(k=4, blocks=2))
sgd = sgd_fit.model
updated: mfcli.Updated = mfcli.update(sgd, parts, frame.head(20).assign(user=123_456))
print(updated, mfcli.update(updated.model, updated.split, remove=[123_456]).changes, sep="\n")

# %% Rankings: settings that also learn from unrated pairs, reasons, more diverse lists
best = mfcli.fit(parts, mfcli.recommended_config(parts, purpose="ranking"))
print(mfcli.evaluate(best.model, parts).measures["ndcg"], metrics.measures["ndcg"])
print(mfcli.recommend(best.model, 42, n=2, exclude=parts, diversity=0.3, explain=2).to_pandas())

# %% Events instead of ratings: each row counts, and repeated rows add up
clicks = mfcli.split(mfcli.ratings_from(frame[["user", "item"]], columns={"rating": ""}))
clicked = mfcli.fit(clicks, mfcli.recommended_config(clicks))
visitor = mfcli.fold_in(clicked.model, (["anna", "anna"], ["film 1", "film 2"]))
print(mfcli.recommend(visitor.model, "anna", n=2, exclude=visitor.rated).to_pandas())

# %% A Ray cluster: the same bits from any number of workers, also after losses
try:
    with mfcli.cluster("local", workers=2):
        print(mfcli.fit(parts, mfcli.Config(k=4, blocks=2)).losses == sgd_fit.losses)
except mfcli.MfcliError as error:  # without the extra mfcli[ray]
    print(error)

# %% Exports for other programs
print(mfcli.export(model, "npz"), mfcli.export(model, "parquet", "tables"))

# %% Errors name the argument and what to do; warnings concern the data
for attempt in (
    lambda: mfcli.split(frame.rename(columns={"rating": "stars out of five"})),
    lambda: mfcli.recommend(model, "nobody"),
    lambda: mfcli.fit(parts, mfcli.Config(k=0)),
    lambda: mfcli.fetch_movielens("ml-lastest-small"),
):
    try:
        attempt()
    except mfcli.MfcliError as error:
        print(f"{type(error).__name__}: {error}")
assert issubclass(mfcli.MfcliWarning, UserWarning)

# %% scikit-learn
from sklearn.model_selection import GridSearchCV, cross_val_score  # noqa: E402

from mfcli.sklearn import Recommender  # noqa: E402

pairs = frame[["user", "item"]]
search = GridSearchCV(Recommender(epochs=5), {"k": [2, 4]}, cv=2).fit(pairs, frame["rating"])
print(search.best_params_, cross_val_score(search.best_estimator_, pairs, frame["rating"], cv=2))

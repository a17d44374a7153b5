"""Train a model, and log its settings, errors and files to MLflow.

    pip install mlflow
    python examples/mlflow_log.py data.csv

It writes the model to the folder `run`. See the result with `mlflow ui`.
"""

import sys
from dataclasses import asdict

import mlflow

import mfcli
from mfcli.training import Epoch

parts = mfcli.split(sys.argv[1], mfcli.Config(valid=0.1))
config = mfcli.Config(k=10, reg=1e-4, epochs=20)


def log(epoch: Epoch) -> None:
    values = {name: value for name, value in asdict(epoch).items() if value is not None}
    mlflow.log_metrics(values, step=epoch.epoch)


with mlflow.start_run():
    mlflow.log_params(config.used("training"))
    fitted = mfcli.fit(parts, config, on_epoch=log)
    mlflow.log_metrics({"rmse": mfcli.evaluate(fitted.model, parts).measures["rmse"]})
    fitted.write("run")
    mlflow.log_artifacts("run")

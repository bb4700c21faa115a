"""`--track mlflow[:URI]`: a run of MLflow each, in the SQLite store `mlflow.db` of the project or at URI.

The client is asked directly and told where its store is, so that nothing global of MLflow is touched. A killed run is
found again by its token; one that is made anew, with `--force` or other options, is a new run.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from shlex import quote
from typing import Any

from alrctl.tracking import Ended, Run, need, without_password
from schemas.errors import UsageError, nearest, shown

_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",  # seconds; by MLflow's own values a server that is gone costs minutes
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
}
"""What MLflow reads from the environment, where the user has not said otherwise."""
_SCHEMES = ("sqlite", "http", "https", "postgresql", "mysql", "mssql", "databricks")
_FILES = (".db", ".sqlite", ".sqlite3")


def check(place: str) -> None:
    """Refuse a place that is no store, or to go on without the package.

    Raises:
        UsageError: either.
    """
    need("mlflow")
    scheme, _, rest = place.partition("://")
    if place and not place.endswith(_FILES) and not (rest and scheme.split("+")[0] in _SCHEMES):
        raise UsageError(
            f"--track mlflow: '{shown(without_password(place))}' is no store of runs: give a file that ends in .db, "
            f"sqlite:///FILE, or the http:// of a server{nearest(scheme, _SCHEMES)}"
        )


def start(place: str, run: Run) -> MLflow:
    """Begin a run, or go on with the one of the same token."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    uri = _uri(place or str(run.project / "mlflow.db"))
    if uri.startswith("sqlite:///"):
        _check_file(Path(uri.removeprefix("sqlite:///").partition("?")[0]))
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    with _answers(uri):
        experiment = _experiment(client, run.project, uri)
    found = client.search_runs([experiment], f"tags.token = '{run.token}'", max_results=1)
    if not found:
        return MLflow(client, _begin(client, experiment, run), _look(uri, experiment), resumed=False)
    client.update_run(found[0].info.run_id, status="RUNNING")
    return MLflow(client, found[0].info.run_id, _look(uri, experiment), resumed=True)


class MLflow:
    """Hands the figures of one run to a store of MLflow."""

    def __init__(self, client: Any, run_id: str, look: str, resumed: bool) -> None:
        self.look = look
        self._client, self._run_id, self._resumed = client, run_id, resumed
        self._held: dict[str, set[int]] = {}

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Hand the figures of a step on, in one call."""
        from mlflow.entities import Metric

        now = _now()
        new = [Metric(name, value, now, step) for name, value in values.items() if step not in self._steps(name)]
        if new:
            self._client.log_batch(self._run_id, metrics=new)

    def _steps(self, name: str) -> set[int]:
        """Return the steps of a figure that the store held before this process began."""
        if self._resumed and name not in self._held:
            history = self._client.get_metric_history(self._run_id, name)
            self._held[name] = {metric.step for metric in history}
        return self._held.get(name, set())

    def close(self, ended: Ended) -> None:
        """Say how the run ended."""
        self._client.set_terminated(self._run_id, ended.upper())


def _uri(place: str) -> str:
    return place if "://" in place else f"sqlite:///{Path(place).resolve()}"


def _check_file(path: Path) -> None:
    """See that a store can be written to, for MLflow would try for minutes.

    Raises:
        UsageError: it cannot.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(path)) as store:
            store.execute("BEGIN IMMEDIATE")
    except (OSError, sqlite3.Error) as error:
        raise UsageError(f"--track mlflow: {path}: cannot be written ({error})") from error


@contextmanager
def _answers(uri: str) -> Iterator[None]:
    """Say plainly that a server does not answer, of which MLflow tells in its client's terms.

    Raises:
        UsageError: it does not.
    """
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        if "failed with exception" not in str(error):
            raise
        raise UsageError(f"--track mlflow: {without_password(uri)}: does not answer; is the server running?") from error


def _experiment(client: Any, project: Path, uri: str) -> str:
    """Return the id of the experiment that is called as the project is; what is kept with it lies beside the store."""
    from mlflow.exceptions import MlflowException

    name = project.name or "alrctl"
    found = client.get_experiment_by_name(name)
    if found is None:
        place = None if uri.startswith(("http", "databricks")) else (project / "mlflow-artifacts").as_uri()
        try:
            return str(client.create_experiment(name, artifact_location=place))
        except MlflowException:  # another process was quicker
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
    return str(found.experiment_id)


def _begin(client: Any, experiment: str, run: Run) -> str:
    """Make a run, with the options as its parameters, and return its id; MLflow itself cuts what is too long."""
    from mlflow.entities import Param

    tags = {"token": run.token, "stage": run.stage, **run.notes}
    run_id: str = client.create_run(experiment, tags=tags, run_name=run.name).info.run_id
    params = [Param(name, _text(value)) for name, value in run.options.items()]
    client.log_batch(run_id, params=params)
    return run_id


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _look(uri: str, experiment: str) -> str:
    """Return the page of the experiment on a server, or the command that shows a store."""
    if uri.startswith("http"):
        return f"{without_password(uri).rstrip('/')}/#/experiments/{experiment}"
    return f"mlflow ui --backend-store-uri {quote(without_password(uri))}"


def _now() -> int:
    """Return the time in milliseconds, as MLflow counts it."""
    return int(time.time() * 1000)

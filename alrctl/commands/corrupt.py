"""`alrctl corrupt`: noisy labels, the truth apart, and what noise was really made."""

from __future__ import annotations

import numpy as np
import polars as pl

from alrctl.dataset import need_data, read_data, read_labels
from alrctl.job import Job, Outcome, Session, Summary, Target
from alrctl.options import as_command
from alrctl.parameters import Data, Out
from alrctl.summary import tell
from schemas.labels import LABELS
from schemas.truth import TRUTH
from stages import corrupt as stage
from stages.methods.metrics import none_if_nan

EXAMPLE = "alrctl corrupt work/data --noise symmetric --rate 0.4 --seed 0 -o work/noisy"


def corrupt(session: Session, config: stage.CorruptConfig, data: Data, out: Out) -> Outcome:
    """Add label noise."""
    job = Job(session, "corrupt", out, config)
    samples, classes, _ = need_data(job, data, images=False)
    labels = job.need("labels", data, LABELS.file_name)

    def work(target: Target) -> Summary:
        dataset = read_data(samples, classes)
        table = read_labels(labels, dataset)
        touched = dataset.samples["split"].is_in(list(config.splits)).to_numpy()
        outputs = stage.run(config, table["index"].to_numpy(), touched, dataset.classes.names)
        names = np.array(dataset.classes.names)
        noisy = table.select("sample_id", label=pl.Series(names[outputs.labels].tolist()), relabelled=pl.lit(False))
        target.table(noisy, LABELS)
        target.table(table.select("sample_id", true_label="label"), TRUTH)
        target.csv(_transition(outputs, dataset.classes.names), "transition.csv")
        rates = {name: none_if_nan(float(rate)) for name, rate in zip(names, outputs.rates, strict=True)}
        changed = int((outputs.labels != table["index"].to_numpy()).sum())
        return {"changed": changed, "realised_rate": outputs.rate, "realised_rate_by_class": rates}

    return tell(session, job.run(work), _story)


def _transition(outputs: stage.CorruptOutputs, names: tuple[str, ...]) -> pl.DataFrame:
    columns = {f"given {name}": outputs.transition[:, index] for index, name in enumerate(names)}
    frame = pl.DataFrame({"true_label": list(names), **columns, "noise_rate": outputs.rates})
    overall = {"true_label": "(all)", **dict.fromkeys(columns), "noise_rate": outputs.rate}
    return pl.concat([frame, pl.DataFrame([overall], schema=frame.schema)]).fill_nan(None)


def _story(session: Session, summary: Summary) -> None:
    rows = [[name, "-" if rate is None else f"{rate:.3f}"] for name, rate in summary["realised_rate_by_class"].items()]
    session.voice.table("", ["class", "share of labels made wrong"], rows)


COMMAND = as_command(corrupt, stage.CorruptConfig)

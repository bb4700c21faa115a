"""The command line: every command in the order of the chain. Reading this list is reading the pipeline."""

from __future__ import annotations

import importlib
import json
import signal
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from alrctl import __version__, surface
from schemas.errors import TerminatedError


@dataclass(frozen=True)
class Entry:
    """A command: its module is imported only when it runs, so that help and completion are quick."""

    name: str
    help: str
    panel: str

    @property
    def module(self) -> str:
        """The module that holds it."""
        return f"alrctl.commands.{self.name.replace('-', '_')}"


_CHAIN, _WHOLE, _LOOK = "The chain, step by step", "The chain as a whole", "Looking into files"

COMMANDS = (
    Entry("ingest", "Take in images and labels: folder, CSV, .npz, HDF5 or a known data set.", _CHAIN),
    Entry("corrupt", "Add label noise, for experiments with known truth.", _CHAIN),
    Entry("audit", "Draw labels at random for a look, and tell from the answers how many of all are wrong.", _CHAIN),
    Entry("train-lnl", "Learn with noisy labels (phase 1) and judge which labels are right.", _CHAIN),
    Entry("score", "Say of each sample how unsure the network is, and what it would call it.", _CHAIN),
    Entry("select", "Choose the samples worth an expert's look.", _CHAIN),
    Entry("review", "Write one HTML page in which an expert labels the queue.", _CHAIN),
    Entry("packets", "Share a queue out among several annotators, blind.", _CHAIN),
    Entry("noisy-ids", "List the labels that are probably wrong, and estimate how much noise there is.", _CHAIN),
    Entry("relabel", "Take the expert's answers in; every change goes into the ledger.", _CHAIN),
    Entry("undo", "Take answers back, by file, annotator or round; what is left decides anew.", _CHAIN),
    Entry("recalibrate", "Retrain on the trusted and the relabelled samples (phase 2).", _CHAIN),
    Entry("evaluate", "Say truthfully how good a network is, overall and by class.", _CHAIN),
    Entry("compare", "Tell what a budget bought by one way to choose and by another, and when to stop.", _CHAIN),
    Entry("init", "Write a commented pipeline.yaml for a data set, after a look at it.", _WHOLE),
    Entry("run", "Carry out a pipeline.yaml for several rounds; goes on after a kill.", _WHOLE),
    Entry("export", "Write a pipeline.yaml as a Snakefile or a Makefile, for clusters.", _WHOLE),
    Entry("report", "Write one HTML page about everything in a directory.", _WHOLE),
    Entry("demo", "The whole chain on brain MRI slices that a package ships.", _WHOLE),
    Entry("status", "Show where a project stands: what was bought, what is stale, what to type next.", _LOOK),
    Entry("history", "Print all that ever happened to one sample's label.", _LOOK),
    Entry("ledger", "Verify the ledger; show costs, agreement of annotators, and the files taken in.", _LOOK),
    Entry("schema", "Print the columns of the tables, for those who replace a stage.", _LOOK),
    Entry("validate", "Check any artifact against its manifest and schema.", _LOOK),
)


class LazyGroup(TyperGroup):
    """Lists all commands, each by a stand-in with name and help; builds the one that is called."""

    def __init__(self, **given: Any) -> None:
        stand_ins = {e.name: TyperCommand(e.name, help=e.help, rich_help_panel=e.panel) for e in COMMANDS}
        super().__init__(**given | {"commands": stand_ins})

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the program's own options, which are flags: off where they are not given.

        Typer leaves its own at None, and has pydantic look at that, which takes longer than all the rest.
        """
        for parameter in self.get_params(ctx):
            parameter.default = parameter.default or False
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Build the command that is called."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, command if command is None else load(command.name), rest


class AccountingCommand(TyperCommand):
    """Takes the last value of an option given twice, as is usual, unless the first would be an expert's lost work."""

    _NONE_LOST = ("answers",)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the words of the command line; where they are to be completed, they are left as they were typed."""
        given, rest, order = self.make_parser(ctx).parse_args(args=list(args))
        if ctx.resilient_parsing:
            for parameter in self.get_params(ctx):
                ctx.params[parameter.name], source = parameter.consume_value(ctx, given)
                ctx.set_parameter_source(parameter.name, source)
            return rest
        for name, times in Counter(one.name for one in order if one.name in self._NONE_LOST).items():
            if times > 1:
                ctx.fail(
                    f"--{name}: given {times} times, and one is taken; relabel once for each, the one upon the other"
                )
        return super().parse_args(ctx, args)


def load(name: str | None) -> Any:
    """Build a command from what is written of it; its module is imported when it runs."""
    entry = next(entry for entry in COMMANDS if entry.name == name)
    taken = surface.read()[entry.name]

    def command(**given: Any) -> None:
        importlib.import_module(entry.module).COMMAND(**given)

    single = typer.Typer(add_completion=False, rich_markup_mode="rich")
    epilog = f"Example: [bold]{taken.example}[/]"
    single.command(entry.name, cls=AccountingCommand, help=entry.help, epilog=epilog)(taken.dress(command))
    return typer.main.get_command(single)


app = typer.Typer(
    cls=LazyGroup,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_show_locals=False,
    help="Learn from noisy labels of an imbalanced image data set, find the labels worth an expert's look, take the "
    "answers in, retrain, and say truthfully what that bought.",
    epilog="Begin with [bold]alrctl demo[/]; or, with your own images, [bold]alrctl init photos/[/] writes a commented "
    "pipeline, and [bold]alrctl ingest photos/ -o work/data[/] takes the first step by hand.",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"alrctl {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", help="print the version", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Hold the options of the program itself."""


_WRONG_USAGE: tuple[type[Exception], ...] = typer.BadParameter.__bases__  # any; its own name is not public


def _run_with_document(app: Callable[..., Any]) -> None:
    """Run the app; words that it cannot make sense of end in a document too, and in one line."""
    try:
        code = app(standalone_mode=False)
    except _WRONG_USAGE as found:
        error: Any = found
        text = error.format_message()
        sys.stderr.write(f"error: {text}\n")
        sys.stdout.write(json.dumps({"status": "failed", "error": text, "exit_code": error.exit_code}, indent=2) + "\n")
        raise SystemExit(error.exit_code) from None
    raise SystemExit(code if isinstance(code, int) else 0)


def run_and_exit(app: Callable[..., Any]) -> None:
    """Run the app, ending with 130 on Ctrl-C and with 143 on SIGTERM wherever it strikes."""

    def terminate(_number: int, _frame: object) -> None:
        raise TerminatedError

    signal.signal(signal.SIGTERM, terminate)
    try:
        _run_with_document(app) if "--json" in sys.argv[1:] else app()
    except (KeyboardInterrupt, typer.Abort):
        sys.stderr.write("error: interrupted\n")
        raise SystemExit(130) from None
    except TerminatedError:
        sys.stderr.write("error: terminated\n")
        raise SystemExit(143) from None

"""The short readable end of every stage: how it ended, the facts, and a table where one helps."""

from __future__ import annotations

from collections.abc import Callable, Collection

from rich.markup import escape

from alrctl.console import cell
from alrctl.session import Outcome, Session, Summary

Story = Callable[[Session, Summary], None]


def tell(session: Session, outcome: Outcome, story: Story | None = None, quiet: Collection[str] = ()) -> Outcome:
    """Print an outcome for people, and return it.

    Args:
        session: where to.
        outcome: of a stage.
        story: prints tables of it.
        quiet: facts that are worth a line only where they are not 0.
    """
    if outcome.status == "helped":  # another process tells
        return outcome
    shown = {name: value for name, value in outcome.summary.items() if value or name not in quiet}
    place = escape(str(outcome.out))
    if outcome.status == "would run":
        session.voice.say(f"[bold]{outcome.stage}[/] would run and write {place} ({outcome.summary['reason']})")
        if len(outcome.summary) > 1:
            _facts(session, {name: value for name, value in shown.items() if name != "reason"})
            _told(session, outcome.summary, story)
        return outcome
    if outcome.status == "unchanged":
        session.voice.say(f"[bold]{outcome.stage}[/] unchanged: {place} is up to date (--force runs it anyway)")
        return outcome
    session.voice.say(f"[bold]{outcome.stage}[/] done: {place}")
    _facts(session, shown)
    _told(session, outcome.summary, story)
    return outcome


def _facts(session: Session, summary: Summary) -> None:
    """Print the facts, a line each."""
    for name, value in summary.items():
        if name == "notes":  # sentences, with commas of their own
            for text in value:
                session.voice.say(f"  note: {escape(text)}")
            continue
        is_table = isinstance(value, dict) or (isinstance(value, list) and value and isinstance(value[0], list))
        if not is_table and value not in (None, [], ""):
            session.voice.say(f"  {name.replace('_', ' ')}: {escape(cell(value))}")


def _told(session: Session, summary: Summary, story: Story | None) -> None:
    if story is not None:
        story(session, summary)


def by_class(title: str, name: str) -> Story:
    """Return a story that shows one fact by class, where there is one."""

    def story(session: Session, summary: Summary) -> None:
        if summary[name] is not None:
            rows = [[label, cell(value)] for label, value in summary[name].items()]
            session.voice.table("", ["class", title], rows)

    return story

"""The page on the published program's flags: every flag has a row, and what it says to type is taken."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from alrctl import pipeline

ROOT = Path(__file__).parents[2]
FLAGS = (
    "--dataset --corrupt_prob --uncorrupt_classes --LNL_epochs --batch --lr_LNL --lr_AL --pretrained_model "
    "--label_cleaning_rounds --recalibration_epochs --active_selection_method --round_budget --label_cleaning "
    "--use_LNL_cleaned_labels --seed --method --mix_ratio --all_activations --active_learning_only --scratch_after_LNL "
    "--forget_rate --num_gradual --exponent --momentum --weight-decay --CE_epochs"
).split()
VALUES = {
    "--dataset": ["isic", "drd", "kvasir", "imbalanced_histopathology"],
    "--method": ["coteaching", "coteaching_VOG", "cross_entropy", "scratch"],
    "--active_selection_method": [
        *("random", "entropy_sampling", "least_confidence_sampling"),
        *("margin_sampling", "BALD_sampling", "coreset_sampling"),
    ],
}


def rows() -> list[tuple[str, str]]:
    """Return the flag and what to type for it, of each row of the page's table."""
    text = (ROOT / "docs/from-the-paper.md").read_text()
    return re.findall(r"^\| (?:`(--[^`]+)`|\([^)]+\)) \| `([^`]+)` \|", text, flags=re.MULTILINE)


def test_every_flag_and_value_has_a_row() -> None:
    told = [row[0].partition(" ") for row in rows() if row[0]]
    assert {flag for flag, _, _ in told} == set(FLAGS)
    for flag, values in VALUES.items():
        assert [value for name, _, value in told if name == flag] == values


@pytest.mark.parametrize(("flag", "typed"), rows())
def test_what_to_type_is_taken(flag: str, typed: str) -> None:
    content = yaml.safe_load(typed)
    assert isinstance(content, dict)
    found = pipeline.parse({"source": "photos", "corrupt": {}, **content}, Path("base"), flag)
    assert pipeline.plan(found)


def test_the_example_is_the_published_command_and_its_alternatives() -> None:
    found = pipeline.load(ROOT / "examples/paper.yaml")
    text = (ROOT / "examples/paper.yaml").read_text()
    plan = {step.name: step.arguments["config"] for step in pipeline.plan(found)}
    method, choice = plan["seed-0/coteaching-vog/lnl"], plan["seed-0/coteaching-vog/entropy/r9/queue"]
    told = {
        "--corrupt_prob": plan["seed-0/noisy"].rate,
        "--LNL_epochs": method.epochs,
        "--batch": method.batch_size,
        "--lr_LNL": method.learning_rate,
        "--mix_ratio": method.mix_ratio,
        "--lr_AL": plan["seed-0/coteaching-vog/entropy/r9/model"].learning_rate,
        "--recalibration_epochs": plan["seed-0/coteaching-vog/entropy/r9/model"].epochs,
        "--round_budget": choice.budget,
        "--label_cleaning_rounds": found.rounds,
        "--seed": method.seed,
    }
    for flag, value in told.items():
        assert float(re.findall(rf"{flag} (\S+)", text)[0]) == value, flag
    assert plan["seed-0/noisy"].exclude == ()

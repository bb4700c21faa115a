"""Flag over file over default; and every wrong name or value is told at once, with the nearest right one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Alrctl = Callable[..., Any]


def options_of(directory: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((directory / "manifest.json").read_text())["options"]
    return found


@pytest.fixture
def config(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        (tmp_path / "options.yaml").write_text(text)
        return tmp_path / "options.yaml"

    return write


def test_a_flag_is_over_the_file_and_the_file_over_the_default(
    alrctl: Alrctl, finished: Path, tmp_path: Path, config: Callable[[str], Path]
) -> None:
    out = tmp_path / "noisy"
    file = config("rate: 0.2\nseed: 7\n")
    ran = alrctl("corrupt", finished / "data", "--config", file, "--rate", 0.3, "-o", out)
    assert ran.code == 0, ran.err
    found = options_of(out)
    assert (found["rate"], found["seed"], found["noise"]) == (0.3, 7, "symmetric")


@pytest.mark.parametrize("name", ["num-gradual", "num_gradual"])
def test_names_in_the_file_are_those_of_the_flags_with_either_line(
    alrctl: Alrctl, finished: Path, tmp_path: Path, config: Callable[[str], Path], name: str
) -> None:
    file = config(f"{name}: 0\n")
    ran = alrctl("train-lnl", finished / "data", "--labels", finished / "noisy", "--config", file, "-o", tmp_path / "l")
    assert ran.code == 2
    assert f"{file}: num-gradual: '0'" in ran.err


def test_what_is_required_may_stand_in_the_file_alone(
    alrctl: Alrctl, finished: Path, tmp_path: Path, config: Callable[[str], Path]
) -> None:
    file = config(f"data: {finished / 'data'}\nout: {tmp_path / 'noisy'}\nrate: 0.1\n")
    ran = alrctl("corrupt", "--config", file)
    assert ran.code == 0, ran.err
    assert options_of(tmp_path / "noisy")["rate"] == 0.1


def test_a_list_or_a_switch_may_stand_in_the_file(
    alrctl: Alrctl, finished: Path, tmp_path: Path, photos: Path, config: Callable[[str], Path]
) -> None:
    ran = alrctl("corrupt", finished / "data", "--config", config("exclude: [red]\n"), "-o", tmp_path / "noisy")
    assert ran.code == 0, ran.err
    assert options_of(tmp_path / "noisy")["exclude"] == ["red"]
    shared = ("ingest", photos, "--image-size", 8, "--config", config("ordered: true\n"), "-o", tmp_path / "data")
    assert alrctl(*shared).code == 0
    assert options_of(tmp_path / "data")["ordered"] is True
    assert alrctl(*shared, "--no-ordered").code == 0
    assert options_of(tmp_path / "data")["ordered"] is False


def test_an_option_may_be_given_several_times(alrctl: Alrctl, finished: Path, tmp_path: Path) -> None:
    splits = ("--splits", "train", "--splits", "val")
    assert alrctl("corrupt", finished / "data", *splits, "-o", tmp_path / "noisy").code == 0
    assert options_of(tmp_path / "noisy")["splits"] == ["train", "val"]


def test_all_that_is_wrong_with_flags_and_file_is_told_at_once(
    alrctl: Alrctl, finished: Path, tmp_path: Path, config: Callable[[str], Path]
) -> None:
    file = config("strateggy: entropy\nbudget: -3\nflavour: sweet\n")
    out = tmp_path / "queue"
    ran = alrctl("select", finished / "r1/scores", "--config", file, "--pool", "nois", "--seed", "x", "-o", out)
    assert ran.code == 2
    assert ran.out == ""
    assert ran.err.count("\n") == 1
    for told in (
        f"{file}: unknown option 'strateggy'; did you mean 'strategy'?",
        f"{file}: unknown option 'flavour'",
        f"{file}: budget: '-3' should be greater than 0",
        "--pool: 'nois' is not one of auto, noisy, all; did you mean 'noisy'?",
        "--seed: 'x' should be a valid integer, unable to parse string as an integer",
    ):
        assert told in ran.err
    assert not out.exists()
    assert not out.with_name(".queue.alrctl").exists()


def test_a_flag_that_mends_the_files_value_is_enough(
    alrctl: Alrctl, finished: Path, tmp_path: Path, config: Callable[[str], Path]
) -> None:
    file = config("budget: -3\n")
    ran = alrctl("select", finished / "r1/scores", "--config", file, "--budget", 3, "-o", tmp_path / "queue")
    assert ran.code == 0


def test_everything_that_is_missing_is_told_at_once(alrctl: Alrctl) -> None:
    ran = alrctl("score")
    assert ran.code == 2
    for told in ("missing DATA", "missing --labels", "missing --checkpoint", "missing --out"):
        assert told in ran.err


def test_a_missing_argument_is_told_together_with_a_bad_value(alrctl: Alrctl, tmp_path: Path) -> None:
    ran = alrctl("corrupt", "--rate", "much", "-o", tmp_path / "noisy")
    assert ran.code == 2
    assert "missing DATA; --rate: 'much' should be a valid number" in ran.err


def test_an_unknown_flag_ends_with_2_and_names_the_nearest(alrctl: Alrctl, finished: Path, tmp_path: Path) -> None:
    ran = alrctl("corrupt", finished / "data", "--rat", 0.2, "-o", tmp_path / "noisy")
    assert ran.code == 2
    assert "--rate" in ran.err


def test_an_unknown_command_ends_with_2(alrctl: Alrctl) -> None:
    ran = alrctl("corupt")
    assert ran.code == 2
    assert "corupt" in ran.err


def test_options_that_contradict_each_other_are_told(alrctl: Alrctl, photos: Path, tmp_path: Path) -> None:
    ran = alrctl("ingest", photos, "--val-share", 0.45, "--test-share", 0.45, "-o", tmp_path / "data")
    assert ran.code == 2
    assert "val-share and test-share together leave less than a fifth to train on" in ran.err


def test_a_value_that_only_the_config_knows_to_be_wrong_is_told_with_its_flag(
    alrctl: Alrctl, finished: Path, tmp_path: Path
) -> None:
    given = ("--labels", finished / "noisy", "-o", tmp_path / "lnl", "--forget-rate", 1.5)
    ran = alrctl("train-lnl", finished / "data", *given)
    assert ran.code == 2
    assert "--forget-rate: '1.5' must be auto, or a share from 0 to below 1" in ran.err


@pytest.mark.parametrize(
    ("text", "code", "told"),
    [
        ("- rate\n- 0.2\n", 3, "must hold 'name: value' lines, as in `epochs: 30`"),
        ("just words\n", 3, "must hold 'name: value' lines"),
        ("rate: [0.2\n", 3, "is no readable YAML file"),
    ],
)
def test_a_config_file_that_is_no_mapping_is_refused(
    alrctl: Alrctl, finished: Path, tmp_path: Path, config: Callable[[str], Path], text: str, code: int, told: str
) -> None:
    file = config(text)
    ran = alrctl("corrupt", finished / "data", "--config", file, "-o", tmp_path / "noisy")
    assert ran.code == code
    assert f"{file}: {told}" in ran.err


def test_an_empty_config_file_changes_nothing(
    alrctl: Alrctl, finished: Path, tmp_path: Path, config: Callable[[str], Path]
) -> None:
    ran = alrctl("corrupt", finished / "data", "--config", config("# later\n"), "-o", tmp_path / "noisy")
    assert ran.code == 0


def test_a_config_file_that_is_not_there_is_told(alrctl: Alrctl, finished: Path, tmp_path: Path) -> None:
    ran = alrctl("corrupt", finished / "data", "--config", tmp_path / "no.yaml", "-o", tmp_path / "noisy")
    assert ran.code == 3
    assert f"{tmp_path / 'no.yaml'}: no such file" in ran.err


def test_every_bad_value_of_one_command_can_be_told_in_json(alrctl: Alrctl, tmp_path: Path) -> None:
    ran = alrctl("corrupt", tmp_path, "--rate", 3, "--noise", "symetric", "-o", tmp_path / "n", "--json")
    assert ran.document["exit_code"] == ran.code == 2
    assert "--rate: '3' should be less than or equal to 1" in ran.document["error"]
    kinds = "symmetric, asymmetric, pair, transition, instance"
    assert f"--noise: 'symetric' is not one of {kinds}; did you mean 'symmetric'?" in ran.document["error"]


def test_a_bad_combination_of_a_commands_own_options_ends_with_2(
    alrctl: Alrctl, finished: Path, tmp_path: Path
) -> None:
    ran = alrctl("relabel", finished / "noisy", "-o", tmp_path / "l")
    assert ran.code == 2
    assert "give either --answers FILE or --oracle TRUTH" in ran.err
    ran = alrctl("relabel", finished / "noisy", "--oracle", finished / "data", "-o", tmp_path / "l")
    assert ran.code == 2
    assert "--oracle needs --queue" in ran.err


def test_ctrl_c_in_a_command_ends_with_130_and_one_line(
    alrctl: Alrctl, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stages import corrupt

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(corrupt, "run", interrupt)
    ran = alrctl("corrupt", finished / "data", "-o", tmp_path / "noisy", "--json")
    assert ran.code == ran.document["exit_code"] == 130
    assert ran.err.strip() == "error: interrupted; nothing half-done was left, the same command goes on"
    assert not list(tmp_path.iterdir())


def test_ctrl_c_before_any_command_ends_with_130(capsys: pytest.CaptureFixture[str]) -> None:
    from alrctl.app import run_and_exit

    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as ended:
        run_and_exit(interrupt)
    assert ended.value.code == 130
    assert capsys.readouterr().err == "error: interrupted\n"


def test_a_bug_is_not_taken_for_a_users_mistake(
    alrctl: Alrctl, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stages import corrupt

    def fail(*_: Any) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(corrupt, "run", fail)
    with pytest.raises(ZeroDivisionError):
        alrctl("corrupt", finished / "data", "-o", tmp_path / "noisy")
    assert not list(tmp_path.iterdir())


def test_a_place_of_the_wrong_kind_in_a_config_file_is_told(alrctl: Alrctl, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("data: 3\nout: [a]\n")
    assert alrctl("corrupt", "--config", tmp_path / "c.yaml").code == 2

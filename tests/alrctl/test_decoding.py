"""The pack holds images exactly as decoded one by one, however many decode, killed or not."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file

from alrctl import decoding, images, unfinished_pack, workers
from alrctl.decoding import PackFacts
from alrctl.image_pack import open_pack, open_pixels
from alrctl.images import decode
from alrctl.sources import folder
from schemas.errors import DataError
from stages.ingest import Fit, IngestConfig
from stages.report import Report, SilentReport

Given = Path | NDArray[np.generic]


class Listening(SilentReport):
    """Keeps what it was told."""

    def __init__(self) -> None:
        self.progressed: list[tuple[int, int]] = []
        self.warned: list[str] = []

    def progress(self, done: int, total: int, text: str = "", unit: str = "") -> None:
        self.progressed.append((done, total))

    def warn(self, text: str) -> None:
        self.warned.append(text)


def noise(number: int, height: int = 16, width: int = 16) -> NDArray[np.uint8]:
    return np.random.default_rng(number).integers(0, 256, (height, width, 3), dtype=np.uint8)


def write_pack(
    path: Path,
    gets: Sequence[Callable[[], Given]],
    size: int,
    fit: Fit,
    skip_broken: bool,
    count: int,
    report: Report,
) -> PackFacts:
    config = IngestConfig(image_size=size, fit=fit, skip_broken=skip_broken)
    given = [get() for get in gets]
    with workers.at_work(workers.number(count), len(given)) as pool:
        return decoding.write_pack(path, path.with_name("state"), given, stamps(given), config, pool, report)


def stamps(given: Sequence[Given]) -> list[tuple[int, int]]:
    return [(0, 0) if isinstance(one, np.ndarray) else decoding._stamp(one) for one in given]


def getters(folder: Path, count: int) -> list[Callable[[], Path | NDArray[np.generic]]]:
    """Return images of several kinds and sizes, files and arrays by turns."""
    found: list[Callable[[], Path | NDArray[np.generic]]] = []
    for number in range(count):
        pixels = noise(number, 10 + number % 7, 12 + number % 5)
        if number % 3 == 0:
            found.append(lambda pixels=pixels: pixels)
        else:
            image = Image.fromarray(pixels if number % 3 == 1 else pixels[..., 0])
            path = folder / f"{number}.png"
            image.save(path)
            found.append(lambda path=path: path)
    return found


@pytest.mark.parametrize("count", [0, 1, 5])
@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
def test_the_pack_holds_each_image_as_decoded_alone_in_order(
    tmp_path: Path, fit: Fit, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "_AT_MOST", 32)
    gets = getters(tmp_path, 70)
    report = Listening()
    facts = write_pack(tmp_path / "pack.safetensors", gets, 16, fit, False, count, report)
    alone = [decode(get(), 16, fit) for get in gets]
    pack = open_pack(tmp_path / "pack.safetensors")
    assert pack.dtype == torch.uint8
    assert (pack.numpy() == np.stack([one.pixels for one in alone])).all()
    assert facts.good == [True] * 70
    assert facts.sizes == [(one.width, one.height) for one in alone]
    assert facts.rules == {"L": 23}
    assert [total for _, total in report.progressed] == [70] * 3
    assert sorted(done for done, _ in report.progressed)[-1] == 70


def test_more_images_than_are_decoded_ahead_stay_in_order(tmp_path: Path) -> None:
    made = [np.full((8, 8, 3), number % 251, np.uint8) for number in range(600)]
    gets: list[Callable[[], Path | NDArray[np.generic]]] = [lambda one=one: one for one in made]
    write_pack(tmp_path / "pack.safetensors", gets, 8, "stretch", False, 4, SilentReport())
    assert (open_pack(tmp_path / "pack.safetensors").numpy() == np.stack(made)).all()


def test_the_pack_is_a_safetensors_file_that_can_be_read_in_slices(tmp_path: Path) -> None:
    path = tmp_path / "pack.safetensors"
    write_pack(path, getters(tmp_path, 9), 16, "stretch", False, 1, SilentReport())
    with safe_open(path, framework="pt") as file:
        assert list(file.keys()) == ["images"]
        part = file.get_slice("images")
        assert part.get_shape() == [9, 16, 16, 3]
        assert part.get_dtype() == "U8"
        whole = open_pack(path)
        assert (part[3:5] == whole[3:5]).all()
    header = int.from_bytes(path.read_bytes()[:8], "little")
    assert header % 8 == 0, "the pixels begin at a multiple of 8"
    assert path.stat().st_size == 8 + header + 9 * 16 * 16 * 3


def test_the_same_images_give_the_same_bytes(tmp_path: Path) -> None:
    gets = getters(tmp_path, 30)
    for name, count in (("a", 1), ("b", 4)):
        write_pack(tmp_path / name, gets, 16, "crop", False, count, SilentReport())
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_broken_images_are_left_out_of_the_pack_and_counted(tmp_path: Path) -> None:
    gets = getters(tmp_path, 12)
    for number in (1, 5):
        (tmp_path / f"{number}.png").write_text("broken")
    first = f"2 images cannot be read (first: {tmp_path / '1.png'}: is no readable image file"
    with pytest.raises(DataError) as refused:
        write_pack(tmp_path / "pack.safetensors", gets, 16, "stretch", False, 2, SilentReport())
    assert str(refused.value).startswith(first)
    assert str(refused.value).endswith("; --skip-broken leaves them out")
    report = Listening()
    facts = write_pack(tmp_path / "pack.safetensors", gets, 16, "stretch", True, 2, report)
    assert facts.good == [number not in (1, 5) for number in range(12)]
    assert len(facts.sizes) == 10
    wanted = [decode(get(), 16, "stretch").pixels for get, good in zip(gets, facts.good, strict=True) if good]
    assert (open_pack(tmp_path / "pack.safetensors").numpy() == np.stack(wanted)).all()
    assert len(report.warned) == 1
    assert report.warned[0].startswith(first)
    assert report.warned[0].endswith("; left out")


def test_a_pack_without_a_single_image_is_refused_even_where_broken_ones_may_go(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("broken")
    with pytest.raises(DataError, match="1 image cannot be read"):
        write_pack(tmp_path / "p", [lambda: tmp_path / "a.png"], 16, "stretch", True, 1, SilentReport())


def test_a_pack_is_shown_without_torch_as_it_is_read_with_it(tmp_path: Path) -> None:
    path = tmp_path / "pack.safetensors"
    write_pack(path, getters(tmp_path, 9), 16, "stretch", False, 1, SilentReport())
    assert np.array_equal(open_pixels(path), open_pack(path).numpy())
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"pack\.safetensors: is no whole image pack"):
        open_pixels(path)


def test_a_pack_that_is_gone_or_cut_short_or_something_else_is_told(tmp_path: Path) -> None:
    path = tmp_path / "pack.safetensors"
    with pytest.raises(DataError, match=r"pack\.safetensors: no such file"):
        open_pack(path)
    write_pack(path, getters(tmp_path, 9), 16, "stretch", False, 1, SilentReport())
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    with pytest.raises(DataError, match=r"pack\.safetensors: is no whole image pack"):
        open_pack(path)
    save_file({"images": torch.zeros(2, 4, 4, 3)}, path)
    with pytest.raises(DataError, match=r"holds F32 \(2, 4, 4, 3\); wanted: U8 \(N, H, W, 3\)"):
        open_pack(path)
    save_file({"other": torch.zeros(2)}, path)
    with pytest.raises(DataError, match="is no whole image pack"):
        open_pack(path)


# --- processes -------------------------------------------------------------------------------------------------------


def photographs(folder: Path, count: int) -> list[Given]:
    folder.mkdir(exist_ok=True)
    for number in range(count):
        Image.fromarray(noise(number, 10 + number % 7, 12 + number % 5)).save(folder / f"{number}.png")
    return [folder / f"{number}.png" for number in range(count)]


def packed(given: Sequence[Given], path: Path, pool: Executor, report: Report | None = None) -> bytes:
    config = IngestConfig(image_size=16)
    decoding.write_pack(path, path.with_name("state"), given, stamps(given), config, pool, report or SilentReport())
    return path.read_bytes()


@pytest.fixture
def by_threads(tmp_path: Path) -> bytes:
    with ThreadPoolExecutor(1) as pool:
        return packed(photographs(tmp_path / "photos", 60), tmp_path / "by-threads", pool)


def test_processes_write_what_threads_write(tmp_path: Path, by_threads: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "WORTH", 60)
    monkeypatch.setattr(decoding, "_AT_MOST", 7)
    with workers.at_work(2, 60) as pool:
        assert isinstance(pool, ProcessPoolExecutor)
        assert packed(photographs(tmp_path / "photos", 60), tmp_path / "pack", pool) == by_threads
        found = folder.read(tmp_path, IngestConfig())
        seen = decoding.look_through(found, False, pool, SilentReport())
    assert seen.digests == [found.digest(row) for row in range(60)]
    assert seen.stamps == stamps([found.image(row) for row in range(60)])


def test_an_image_too_large_to_be_decoded_beside_others_is_decoded_alone(tmp_path: Path, by_threads: bytes) -> None:
    room_for_128_pixels = images._AT_ONCE // 128
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, spawn, images.share_room, (room_for_128_pixels,)) as pool:
        assert packed(photographs(tmp_path / "photos", 60), tmp_path / "pack", pool) == by_threads


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), ImportError("no semaphores")])
def test_where_no_process_can_be_had_threads_do_the_work(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise error

    monkeypatch.setattr(workers, "ProcessPoolExecutor", refuse)
    with workers.at_work(2, workers.WORTH) as pool:
        assert isinstance(pool, ThreadPoolExecutor)


def test_a_process_that_is_killed_is_told(tmp_path: Path) -> None:
    with workers.at_work(2, workers.WORTH) as pool:
        assert isinstance(pool, ProcessPoolExecutor)
        for process in list(pool._processes):
            os.kill(process, signal.SIGKILL)
        with pytest.raises(workers.LostError, match="memory ran out; the same command goes on where it was, and with"):
            packed(photographs(tmp_path / "photos", 9), tmp_path / "pack", pool)
    assert not (tmp_path / "pack").exists()


def test_processes_end_with_the_one_that_started_them(tmp_path: Path) -> None:
    script = (
        "import os, signal\n"
        "from alrctl import workers\n"
        "if __name__ == '__main__':\n"
        "    with workers.at_work(2, workers.WORTH) as pool:\n"
        "        list(pool.map(len, ['a'] * 20))\n"
        "        print(*pool._processes, flush=True)\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    (tmp_path / "script.py").write_text(script)
    root = Path(__file__).parents[2]
    ran = subprocess.run(
        [sys.executable, tmp_path / "script.py"], env=os.environ | {"PYTHONPATH": str(root)}, stdout=subprocess.PIPE
    )
    left = [int(word) for word in ran.stdout.split()]
    assert left
    for _ in range(100):
        left = [process for process in left if Path(f"/proc/{process}").exists()]
        if not left:
            break
        time.sleep(0.1)
    assert not left


# --- gone on with ----------------------------------------------------------------------------------------------------


class Interrupting(SilentReport):
    """Interrupts once so many images are decoded."""

    def __init__(self, at: int) -> None:
        self.at = at

    def progress(self, done: int, total: int, text: str = "", unit: str = "") -> None:
        if done >= self.at:
            raise KeyboardInterrupt


@pytest.fixture
def broken_off(tmp_path: Path, by_threads: bytes, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the state of a run that was interrupted after 40 images of 60."""
    monkeypatch.setattr(decoding, "_AT_MOST", 5)
    monkeypatch.setattr(unfinished_pack, "_SECONDS", 0)
    with ThreadPoolExecutor(1) as pool, pytest.raises(KeyboardInterrupt):
        packed(photographs(tmp_path / "photos", 60), tmp_path / "pack", pool, Interrupting(40))
    assert sorted(path.name for path in (tmp_path / "state").iterdir()) == ["decoded.jsonl", "images.safetensors"]
    return tmp_path / "state"


def gone_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[bytes, int]:
    """Return the pack, and how many images were decoded for it."""
    decoded = []

    def counting(image: Given, size: int, fit: Fit) -> images.Decoded:
        decoded.append(image)
        return decode(image, size, fit)

    monkeypatch.setattr(decoding, "decode", counting)
    with ThreadPoolExecutor(1) as pool:
        return packed(photographs(tmp_path / "photos", 60), tmp_path / "pack", pool), len(decoded)


def test_a_run_goes_on_where_it_was_broken_off(
    tmp_path: Path, by_threads: bytes, broken_off: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert gone_on(tmp_path, monkeypatch) == (by_threads, 20)


def test_a_line_that_a_kill_cut_short_does_not_count(
    tmp_path: Path, by_threads: bytes, broken_off: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = broken_off / "decoded.jsonl"
    journal.write_bytes(journal.read_bytes()[:-9])
    assert gone_on(tmp_path, monkeypatch) == (by_threads, 25)


@pytest.mark.parametrize("what", ["journal", "pack", "gone"])
def test_what_a_power_cut_spoilt_is_decoded_anew(
    tmp_path: Path, by_threads: bytes, broken_off: Path, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if what == "journal":
        with (broken_off / "decoded.jsonl").open("r+b") as stream:
            stream.write(bytes(20))
    elif what == "pack":
        with (broken_off / "images.safetensors").open("r+b") as stream:
            stream.truncate(100)
    else:
        (broken_off / "images.safetensors").unlink()
    assert gone_on(tmp_path, monkeypatch) == (by_threads, 60)


def test_broken_images_of_the_first_half_are_told_by_the_second(tmp_path: Path, broken_off: Path) -> None:
    journal = broken_off / "decoded.jsonl"
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    first = next(line for line in lines if line["first"] == 0)
    first["sizes"][1], first["broken"] = None, ["photos/1.png: is no image"]
    journal.write_text("".join(json.dumps(line) + "\n" for line in lines))
    report, config = Listening(), IngestConfig(image_size=16, skip_broken=True)
    given = photographs(tmp_path / "photos", 60)
    with ThreadPoolExecutor(2) as pool:
        facts = decoding.write_pack(tmp_path / "pack", broken_off, given, stamps(given), config, pool, report)
    assert [row for row, good in enumerate(facts.good) if not good] == [1]
    assert report.warned == ["1 image cannot be read (first: photos/1.png: is no image); left out"]
    wanted = [decode(image, 16, "stretch").pixels for row, image in enumerate(given) if row != 1]
    assert (open_pack(tmp_path / "pack").numpy() == np.stack(wanted)).all()


def test_what_is_decoded_when_a_process_is_killed_is_kept(
    tmp_path: Path, by_threads: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "_AT_MOST", 5)

    class Killing(SilentReport):
        def progress(self, done: int, total: int, text: str = "", unit: str = "") -> None:
            if done >= 30:
                raise workers.LostError("killed")

    with ThreadPoolExecutor(1) as pool, pytest.raises(workers.LostError):
        packed(photographs(tmp_path / "photos", 60), tmp_path / "pack", pool, Killing())
    assert gone_on(tmp_path, monkeypatch) == (by_threads, 30)


@pytest.mark.parametrize("skip_broken", [False, True])
def test_a_file_that_is_changed_after_it_was_looked_at_is_refused(tmp_path: Path, skip_broken: bool) -> None:
    config = IngestConfig(image_size=16, skip_broken=skip_broken)
    given = photographs(tmp_path / "photos", 9)
    before = stamps(given)
    Image.fromarray(noise(99, 30, 30)).save(tmp_path / "photos" / "4.png")
    with (
        ThreadPoolExecutor(1) as pool,
        pytest.raises(DataError, match=r"1 image changed while taken in \(first: .*4\.png\)"),
    ):
        decoding.write_pack(tmp_path / "pack", tmp_path / "state", given, before, config, pool, SilentReport())
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


@pytest.mark.parametrize("becomes", [b"no image", b"", None])
def test_a_file_that_is_spoilt_or_gone_after_it_was_looked_at_was_changed_and_not_broken(
    tmp_path: Path, becomes: bytes | None
) -> None:
    config = IngestConfig(image_size=16, skip_broken=True)
    given = photographs(tmp_path / "photos", 9)
    before = stamps(given)
    (tmp_path / "photos" / "4.png").unlink() if becomes is None else (tmp_path / "photos" / "4.png").write_bytes(
        becomes
    )
    with ThreadPoolExecutor(1) as pool, pytest.raises(DataError, match="1 image changed while taken in"):
        decoding.write_pack(tmp_path / "pack", tmp_path / "state", given, before, config, pool, SilentReport())


def test_all_processes_are_there_before_work_begins() -> None:
    with workers.at_work(3, workers.WORTH) as pool:
        assert isinstance(pool, ProcessPoolExecutor)
        assert len(pool._processes) == 3


def test_parts_hold_few_images_where_these_are_large() -> None:
    assert list(decoding._cut([(0, 5)], [], 2)) == [(0, 2), (2, 4), (4, 5)]
    half = decoding._BYTES // 2
    assert list(decoding._cut([(0, 5)], [half] * 5, 100)) == [(0, 2), (2, 4), (4, 5)]
    assert list(decoding._cut([(0, 2), (3, 1200)], [1] * 1200, 600)) == [(0, 2), (3, 515), (515, 1027), (1027, 1200)]

"""Files that were made to do harm, or that nobody meant to write: refused in one line, soon, and nothing else."""

from __future__ import annotations

import io
import json
import os
import struct
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import polars as pl
import pytest
from PIL import Image

from alrctl import annotators, checkpoints, csv_files, files, images, limits, parquet_pages, sources, table_files
from alrctl.annotators import Picture
from alrctl.answers import bundle
from alrctl.console import inert
from alrctl.workplace import Workplace, recover
from benchmarks.fuzz import cases
from schemas.errors import AlrctlError, DataError, UsageError
from stages.ingest import IngestConfig

Alrctl = Callable[..., Any]
CASES = {"hdf5": 5}  # each starts a process


@pytest.mark.parametrize("reader", cases.READERS)
def test_spoilt_files_are_read_or_refused_in_one_line(
    reader: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cases, "SLOW", 60.0)  # the machine may have other things to do
    found = cases.run(reader, 1, range(CASES.get(reader, 60)), tmp_path)
    assert [verdict for verdict in found if verdict.kind == "fault"] == []
    assert any(verdict.kind == "refused" for verdict in found)


def test_the_fuzzer_tells_a_mistake_from_a_refusal(tmp_path: Path) -> None:
    def refuse(path: Path) -> None:
        raise DataError(f"{path}: is no good")

    def fail(path: Path) -> None:
        raise KeyError("x")

    def hide(path: Path) -> None:
        with files.explained_read(path, "any"):
            np.zeros(10**14)

    def judged(call: Callable[[Path], object]) -> str:
        return cases.judge(cases.Seed("a", b"", (call,)), b"", tmp_path / "x").kind

    assert [judged(call) for call in (Path.read_bytes, refuse, fail, hide)] == ["accepted", "refused", "fault", "fault"]


def refused(call: Callable[[], object]) -> str:
    """Return what a file is refused with; within seconds."""
    began = time.monotonic()
    with pytest.raises(AlrctlError) as caught:
        call()
    assert time.monotonic() - began < 20
    assert "\n" not in inert(str(caught.value))
    return str(caught.value)


# --- images ----------------------------------------------------------------------------------------------------------


def png(path: Path, width: int, height: int) -> Path:
    """Write a PNG whose header claims a size, with no more than a few pixels in it."""
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = b"IDAT" + zlib.compress(bytes(100))
    chunks = [struct.pack(">I", len(one) - 4) + one + struct.pack(">I", zlib.crc32(one)) for one in (head, body)]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))
    return path


@pytest.mark.parametrize(
    ("width", "height", "told"),
    [
        (2**31 - 1, 2**31 - 1, "pixels is past what is decoded here"),
        (60_000, 60_000, "60000 x 60000 pixels is past what is decoded here (500,000,000)"),
        (20_000, 20_000, "claims 20000 x 20000 pixels in "),
    ],
)
@pytest.mark.parametrize(
    "look", [lambda path: images.decode(path, 16, "stretch"), lambda path: images.reduced(path, 64)]
)
def test_an_image_that_claims_a_size_it_does_not_store_is_refused(
    width: int, height: int, told: str, look: Callable[[Path], object], tmp_path: Path
) -> None:
    assert told in refused(lambda: look(png(tmp_path / "a.png", width, height)))


def test_an_image_of_one_colour_is_a_bomb_only_when_it_is_large(tmp_path: Path) -> None:
    Image.new("1", (9000, 9000)).save(tmp_path / "large.png")
    assert "if that is meant, scale it down" in refused(lambda: images.decode(tmp_path / "large.png", 16, "stretch"))
    Image.new("1", (3000, 3000)).save(tmp_path / "small.png")
    assert images.decode(tmp_path / "small.png", 16, "stretch").width == 3000


def test_of_many_frames_the_first_alone_is_decoded(tmp_path: Path) -> None:
    frames = [Image.new("P", (64, 64), shade) for shade in range(200)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    os.rename(tmp_path / "a.gif", tmp_path / "a.png")
    assert images.decode(tmp_path / "a.png", 16, "stretch").pixels.std() == 0


def test_what_pillow_would_hand_to_another_program_is_no_image(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    told = f"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n({ran}) (w) file closefile\nshowpage\n"
    (tmp_path / "a.png").write_text(told)
    assert "is no readable image file (cannot identify" in refused(lambda: images.decode(tmp_path / "a.png", 16, "pad"))
    assert not ran.exists()


def test_a_file_that_is_no_image_is_not_packed_for_annotators(tmp_path: Path) -> None:
    (tmp_path / "id_rsa").write_text("a secret")
    told = refused(
        lambda: annotators.archive(tmp_path / "x.zip", [Picture("a", None, tmp_path / "id_rsa")], ["1_a.png"])
    )
    assert "id_rsa: is no readable image file" in told


def test_images_together_stay_within_the_room(tmp_path: Path) -> None:
    room = images._Room(10)
    with room.taken(4), room.taken(6):
        assert room._free == 0
    with room.taken(10**9):  # one that is larger goes alone
        assert room._free == 0
    assert room._free == 10


# --- archives of arrays ----------------------------------------------------------------------------------------------


def npz(path: Path, **arrays: Any) -> Path:
    np.savez_compressed(path, **arrays)
    return path


def read(path: Path) -> object:
    return sources.read(path, IngestConfig())


def test_an_archive_that_unpacks_to_far_more_than_it_stores_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = npz(tmp_path / "a.npz", train_images=np.zeros((8000, 8, 8), np.uint8), train_labels=np.arange(8000) % 2)
    read(path)
    monkeypatch.setattr(limits, "UNPACKED", 1 << 16)
    monkeypatch.setattr(limits, "TIMES", 20)
    assert "claims to unpack to" in refused(lambda: read(path))


def test_an_array_that_claims_more_than_the_archive_has_is_refused_before_it_is_made(tmp_path: Path) -> None:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "|u1", "fortran_order": False, "shape": (10**12, 8, 8)})
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as packed:
        packed.writestr("train_images.npy", stream.getvalue())
        packed.writestr("train_labels.npy", stream.getvalue())
    assert "a.npz: train_images claims to be uint8 (1000000000000, 8, 8)" in refused(lambda: read(tmp_path / "a.npz"))


@pytest.mark.parametrize(
    ("arrays", "told"),
    [
        ({"train_labels": np.array([1 + 2j] * 3)}, "train labels are complex128"),
        ({"train_labels": np.zeros(3, "m8[s]")}, "train labels are timedelta64[s]"),
        ({"train_source": np.array(["a"])}, "has 3 train_images and 1 of train_source"),
        ({"train_images": np.zeros((3, 0, 4), np.uint8)}, "without a pixel"),
        ({"train_labels": np.array([None] * 3)}, "holds Python objects; a pickle can run code"),
    ],
)
def test_arrays_of_another_kind_are_refused(arrays: dict[str, Any], told: str, tmp_path: Path) -> None:
    whole = {"train_images": np.zeros((3, 4, 4), np.uint8), "train_labels": np.arange(3)}
    assert told in refused(lambda: read(npz(tmp_path / "a.npz", **(whole | arrays))))


def hdf5(path: Path, make: Callable[[h5py.File], object]) -> Path:
    with h5py.File(path, "w") as file:
        make(file)
        if "dataset/targets" not in file:
            file["dataset/targets"] = np.arange(3)
    return path


IMAGES = "dataset/images"


def virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((3, 4, 4), np.uint8)
    layout[:] = h5py.VirtualSource("other.hdf5", "x", (3, 4, 4))
    file.create_virtual_dataset(IMAGES, layout)


def linked(file: h5py.File) -> None:
    file[IMAGES] = h5py.ExternalLink("/etc/passwd", "x")


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda file: file.create_dataset(IMAGES, (10**9, 64, 64, 3), "u1", chunks=True), "claims to unpack to"),
        (lambda file: file.create_dataset(IMAGES, (3, 4, 4), "u1", external="/etc/passwd"), "lies in other files"),
        (virtual, "lies in other files"),
        (linked, "is no data set of this file"),
        (lambda file: file.create_group(IMAGES), "is no data set of this file"),
        (lambda file: file.create_dataset(IMAGES, (3,), h5py.string_dtype()), "wanted: numbers"),
    ],
)
def test_hdf5_that_claims_too_much_or_leads_elsewhere_is_refused(
    make: Callable[[h5py.File], object], told: str, tmp_path: Path
) -> None:
    assert told in refused(lambda: read(hdf5(tmp_path / "a.hdf5", make)))


# --- tables and texts ------------------------------------------------------------------------------------------------


def test_a_parquet_of_far_more_rows_than_bytes_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "labels.parquet"
    pl.DataFrame({"sample_id": ["x"], "label": ["a"]}).select(pl.all().repeat_by(500_000).explode()).write_parquet(path)
    assert table_files.read_parquet(path).height == 500_000
    monkeypatch.setattr(limits, "ROWS", 1000)
    assert "claims to hold 500,000 rows in " in refused(lambda: table_files.read_parquet(path))


def test_a_parquet_whose_headers_make_no_sense_is_refused_before_polars_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pl.DataFrame({"a": range(9)}).write_parquet(path, compression="uncompressed", statistics=False)
    whole = path.read_bytes()
    parquet_pages.check(path)
    length = int.from_bytes(whole[-8:-4], "little")
    spoilt = 0
    for place in (*range(4, 24), *range(len(whole) - 8 - length, len(whole) - length + 60)):
        for value in (0x00, 0x7F, 0xFF):
            content = whole[:place] + bytes([value]) + whole[place + 1 :]
            try:
                parquet_pages.check_stream(io.BytesIO(content), "a")
            except (ValueError, DataError):
                spoilt += 1
    assert spoilt > 60
    assert "is no readable parquet file (a page is longer" in refused(lambda: _read_with_long_page(path, whole))


def _read_with_long_page(path: Path, whole: bytes) -> object:
    """Read a file whose first page says, in as many bytes as before, that it is longer."""
    assert whole[4:10:5] == b"\x15\x15"  # the page's type, then its length unpacked and packed, each of two bytes
    path.write_bytes(whole[:10] + b"\xfe\x7f" + whole[12:])
    return table_files.read_parquet(path)


@pytest.mark.parametrize("names", [[str(n) for n in range(70_000)], [str(n) for n in range(50_000)] + ["49999"]])
def test_a_header_without_end_is_refused_soon(names: list[str], tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(",".join(names) + "\n" + "1," * len(names) + "\n")
    told = refused(lambda: csv_files.read_csv(tmp_path / "a.csv"))
    assert "has 70,000 columns; 65,536 are the most" in told or "column '49999' stands twice" in told


def multiplied(line: str) -> str:
    return "a0: &a0 {k: v}\n" + "".join(f"a{n}: &a{n} {line.replace('*', f'*a{n - 1}')}\n" for n in range(1, 30))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (multiplied("[*, *, *, *, *, *, *, *, *]"), "aliases that multiply"),
        (multiplied("{<<: [*, *, *, *]}"), "aliases that multiply"),
        ("names: &a [*a, b]\n", "a value that is a part of itself"),
        ('names: !!python/object/apply:os.system ["touch RAN"]\n', "could not determine a constructor for the tag"),
        ("names: [" + "a, " * 400_000 + "]\n", "YAML of more than 1,048,576 is not read"),
        ("[" * 50_000, "is no readable YAML file"),
    ],
)
def test_yaml_that_multiplies_or_runs_is_refused(text: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "classes.yaml"
    path.write_text(text.replace("RAN", str(tmp_path / "ran")))
    assert told in refused(lambda: files.read_yaml(path))
    assert not (tmp_path / "ran").exists()


def test_yaml_may_name_a_section_twice(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a: &a {epochs: 3}\nb: *a\nc: {<<: *a, seed: 1}\n")
    assert files.read_yaml(tmp_path / "a.yaml")["c"] == {"epochs": 3, "seed": 1}


def test_a_zip_that_unpacks_to_far_more_than_it_stores_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("answers.csv", "a" * 3_000_000)
    bundle.open_bundle(tmp_path / "a.zip")
    monkeypatch.setattr(bundle, "_FREE", 1 << 20)
    told = refused(lambda: bundle.open_bundle(tmp_path / "a.zip"))
    assert "'answers.csv' is too large to read (3,000,000 bytes)" in told


@pytest.mark.parametrize(
    ("seed", "change"),
    [
        ("checkpoint", {"hidden": 10**12}),
        ("checkpoint", {"feature_width": 10**9, "hidden": 10**6}),
        ("whole", {"backbone": "vit_large_patch16_224", "image_size": 224}),
        ("whole", {"hidden": 10**12}),
    ],
)
def test_a_checkpoint_that_asks_for_a_giant_is_refused_before_one_is_built(
    seed: str, change: dict[str, Any], tmp_path: Path
) -> None:
    content = next(one.content for one in cases.seeds_of("safetensors") if one.name.startswith(seed))
    length = struct.unpack("<Q", content[:8])[0]
    head = json.loads(content[8 : 8 + length])
    metadata = json.loads(head["__metadata__"]["alrctl"])
    head["__metadata__"]["alrctl"] = json.dumps(metadata | {"spec": metadata["spec"] | change})
    packed = json.dumps(head).encode()
    (tmp_path / "x.safetensors").write_bytes(struct.pack("<Q", len(packed)) + packed + content[8 + length :])
    told = refused(lambda: checkpoints.read(tmp_path / "x.safetensors").networks())
    assert "the weights do not fit" in told or "no network can be built" in told


@pytest.mark.parametrize("words", [("ingest", "a" * 300), ("select", "a" * 300), ("run", f"{'a' * 300}/b.yaml")])
def test_a_name_that_no_file_can_have_is_told_in_one_line(
    words: tuple[str, str], alrctl: Alrctl, tmp_path: Path
) -> None:
    ran = alrctl(*words, *(("-o", tmp_path / "x") if words[0] != "run" else ()))
    assert (ran.code, ran.err.count("\n")) == (3, 1)


# --- places ----------------------------------------------------------------------------------------------------------


def test_a_pipe_among_the_images_is_refused_and_not_waited_for(alrctl: Alrctl, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "photos" / name).mkdir(parents=True)
    os.mkfifo(tmp_path / "photos/a/x.png")
    Image.new("L", (8, 8)).save(tmp_path / "photos/b/y.png")
    ran = alrctl("ingest", tmp_path / "photos", "-o", tmp_path / "data")
    assert ran.code == 3
    assert "x.png: is a pipe or a device, and no regular file" in ran.err


def test_links_that_lead_round_in_circles_end(alrctl: Alrctl, photos: Path, tmp_path: Path) -> None:
    source = tmp_path / "photos"
    source.mkdir()
    for name in ("red", "green"):
        (source / name).mkdir()
        for path in sorted((photos / name).iterdir())[:9]:
            (source / name / path.name).write_bytes(path.read_bytes())
    (source / "red/again").symlink_to(source)
    assert len(sources.read(source, IngestConfig())[1].records) == 18
    (source / "red/self.png").symlink_to(source / "red/self.png")
    ran = alrctl("ingest", source, "-o", tmp_path / "data")
    assert ran.code == 3
    assert ran.err.count("\n") == 1 and "self.png: is no readable" in ran.err


@pytest.mark.parametrize("name", ["lock", "holder", "identity", "token", "state", "new", "old", "."])
def test_a_link_in_the_hidden_folder_is_not_followed(name: str, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.safetensors").write_text("do not touch")
    hidden = tmp_path / ".out.alrctl"
    if name == ".":
        hidden.symlink_to(mine)
    else:
        hidden.mkdir()
        (hidden / name).symlink_to(mine if name in ("state", "new", "old") else mine / "thesis.safetensors")
    with (
        pytest.raises(UsageError, match="is a link, which alrctl never makes there"),
        Workplace(tmp_path / "out", "x").opened(),
    ):
        pass
    if name == "old":
        with pytest.raises(UsageError, match="is a link"):
            recover(tmp_path / "out")
    assert (mine / "thesis.safetensors").read_text() == "do not touch"


@pytest.mark.parametrize("name", ["../../up.csv", "/tmp/up.csv", "..\\up.csv"])
def test_answers_in_a_zip_are_read_where_they_are_whatever_they_are_called(name: str, tmp_path: Path) -> None:
    inner = tmp_path / "one/two"
    inner.mkdir(parents=True)
    with zipfile.ZipFile(inner / "a.zip", "w") as packed:
        packed.writestr(name, "sample_id,label\n")
    found = bundle.open_bundle(inner / "a.zip")
    assert found.read(found.names[0]) == b"sample_id,label\n"
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [inner / "a.zip"]


def test_what_is_printed_cannot_steer_a_terminal(alrctl: Alrctl, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("path,label,split\nx.png,a,\x1b]0;owned\x07\x1b[2J\n")
    ran = alrctl("ingest", tmp_path / "a.csv", "-o", tmp_path / "data")
    assert ran.code == 3
    assert "\x1b" not in ran.err and "\\x1b]0;owned\\x07" in ran.err

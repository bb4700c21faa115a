"""Valid files of each kind, small, made by the program or by the library that others write them with."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import h5py
import numpy as np
import polars as pl
import torch
from PIL import Image
from safetensors.torch import save

from alrctl import checkpoints
from alrctl.manifest import Manifest
from benchmarks.fuzz import calls
from benchmarks.fuzz.calls import BACKBONE, CLASSES, IDS, SIDE
from schemas.checkpoint import CheckpointMetadata, NetworkSpec
from schemas.contract import Contract
from schemas.ledger import LEDGER
from schemas.predictions import PREDICTIONS
from schemas.signals import SIGNALS
from stages.training.backbones import build_backbone
from stages.training.network import build_network

Call = Callable[[Path], object]


@dataclass(frozen=True)
class Seed:
    """A valid file, and what reads it.

    Attributes:
        name: of the file, on which it may depend who reads it.
        content: its bytes.
        calls: all that read such a file.
        beside: other files that it names.
    """

    name: str
    content: bytes
    calls: tuple[Call, ...]
    beside: tuple[tuple[str, bytes], ...] = ()


def _encoded(mode: str = "RGB", kind: str = "PNG", size: tuple[int, int] = (9, 7), **how: Any) -> bytes:
    pixels = np.random.default_rng(3).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    made = {"I;16": "I", "F": "F"}.get(mode, mode)
    image = image.convert("L").convert(made) if made in ("I", "F") else image.convert(made)
    image = image.convert("I;16") if mode == "I;16" else image
    stream = io.BytesIO()
    image.save(stream, kind, **how)
    return stream.getvalue()


# --- texts -----------------------------------------------------------------------------------------------------------

_ANSWERS = "sample_id,label,annotator,confidence,seconds,comment,timestamp\n" + "".join(
    f"{name},naevus,ann,0.{number},1{number},\"a, 'b'\",2026-01-01T10:00:0{number}Z\n"
    for number, name in enumerate(IDS)
)
_LABEL_STUDIO = "annotation_id,annotator,comment,created_at,id,label,lead_time,sample_id,updated_at\n" + "".join(
    f'{number},a@b.c,,2026-01-01T10:00:00Z,{number},"{{""choices"": [""naevus""]}}",1.5,{name},2026-01-02T10:00:00Z\n'
    for number, name in enumerate(IDS, 1)
)


def csv() -> list[Seed]:
    """Tables that people and spreadsheets write."""
    picture = _encoded()
    beside = tuple((name, picture) for name in IDS)
    listed = "path,label,split,patient\n" + "".join(
        f"{name},{CLASSES.names[n % 2]},train,p{n}\n" for n, name in enumerate(IDS)
    )
    hot = "image;mel;nv\n" + "".join(f"{name};{n % 2};{1 - n % 2}\n" for n, name in enumerate(IDS))
    square = "true,melanoma,naevus,other\nmelanoma,0.5,0.5,0\nnaevus,0,1,0\nother,0.25,0.25,0.5\n"
    chances = "sample_id,melanoma,naevus,other\n" + "".join(f"{name},0.5,0.25,0.25\n" for name in IDS)
    known = "sample_id\tsex\tage\n" + "".join(f"{name}\tfemale\t3{n}\n" for n, name in enumerate(IDS))
    grades = "image,level\n" + "".join(f"{n}_left,{n % 5}\n{n}_right,{n % 5}\n" for n in range(4))
    eyes = tuple((f"train/{n}_{side}.jpeg", picture) for n in range(4) for side in ("left", "right"))
    lesions = "lesion_id,image_id,dx\n" + "".join(f"L{n // 2},I{n},{('nv', 'mel')[n % 2]}\n" for n in range(6))
    skins = tuple((f"part/I{n}.jpg", picture) for n in range(6))
    labels = "sample_id,label\n" + "".join(f"{name},other\n" for name in IDS)
    texts: list[tuple[str, str, tuple[Call, ...], tuple[tuple[str, bytes], ...]]] = [
        ("answers.csv", _ANSWERS, (calls.take_in, calls.table), ()),
        ("export.csv", _LABEL_STUDIO, (calls.take_in,), ()),
        ("list.csv", listed, (calls.ingest,), beside),
        ("hot.csv", hot, (calls.ingest,), beside),
        ("matrix.csv", square, (calls.matrix, calls.transition), ()),
        ("predictions.csv", chances, (calls.predictions,), ()),
        ("known.tsv", known, (calls.more_columns,), ()),
        ("trainLabels.csv", grades, (calls.ingest_tree,), eyes),
        ("HAM10000_metadata.csv", lesions, (calls.ingest_tree,), skins),
        ("labels.csv", labels, (calls.label_table, calls.ids), ()),
    ]
    return [Seed(name, text.encode(), act, more) for name, text, act, more in texts]


def ndjson() -> list[Seed]:
    """Exports of labelling tools, and this program's own JSON."""
    tasks = [
        {
            "id": number,
            "data": {"sample_id": name, "image": "x.png"},
            "annotations": [
                {
                    "id": number,
                    "completed_by": {"email": "a@b.c"},
                    "was_cancelled": False,
                    "created_at": "2026-01-01T10:00:00Z",
                    "lead_time": 2.5,
                    "result": [
                        {"from_name": "label", "to_name": "image", "type": "choices", "value": {"choices": ["naevus"]}},
                        {"from_name": "comment", "to_name": "image", "type": "textarea", "value": {"text": ["a"]}},
                    ],
                }
            ],
        }
        for number, name in enumerate(IDS, 1)
    ]
    flat = [
        {"annotation_id": n, "id": n, "annotator": 3, "sample_id": name, "label": "naevus", "lead_time": 1.5}
        for n, name in enumerate(IDS, 1)
    ]
    question = {"name": "label", "radio_answer": {"name": "naevus", "value": "naevus"}}
    rows = [
        {
            "data_row": {"id": str(n), "global_key": name},
            "projects": {
                "P": {
                    "labels": [
                        {
                            "id": "l",
                            "label_details": {"created_by": "a@b.c", "created_at": "2026-01-01T10:00:00Z"},
                            "performance_details": {"seconds_to_create": 3, "skipped": False},
                            "annotations": {"classifications": [question]},
                        }
                    ]
                }
            },
        }
        for n, name in enumerate(IDS)
    ]
    coco = {
        "images": [{"id": n, "file_name": name} for n, name in enumerate(IDS)],
        "categories": [{"id": n, "name": name} for n, name in enumerate(CLASSES.names)],
        "annotations": [{"id": n, "image_id": n, "category_id": n % 3, "bbox": []} for n in range(len(IDS))],
    }
    made = Manifest(
        stage="ingest",
        version="1",
        options={"seed": 0},
        seed=0,
        inputs={"source": {"path": "../x", "sha256": "0" * 64, "size": 1}},
        outputs={"labels.parquet": {"sha256": "0" * 64, "bytes": 1, "rows": 2}},
        device="cpu",
        command=["alrctl"],
        started="2026-01-01T10:00:00Z",
        ended="2026-01-01T10:00:00Z",
        summary={"samples": 2},
        warnings=[],
    )
    return [
        Seed("tasks.json", json.dumps(tasks).encode(), (calls.take_in,)),
        Seed("flat.json", json.dumps(flat).encode(), (calls.take_in,)),
        Seed("export.ndjson", "".join(json.dumps(row) + "\n" for row in rows).encode(), (calls.take_in,)),
        Seed("coco.json", json.dumps(coco).encode(), (calls.take_in,)),
        Seed("manifest.json", made.model_dump_json().encode(), (calls.recorded,)),
    ]


def xml() -> list[Seed]:
    """An export of CVAT."""
    images = "".join(
        f'<image id="{n}" name="{name}" width="9" height="7"><tag label="naevus" source="manual"></tag>'
        '<box label="x" xtl="1" ytl="1" xbr="2" ybr="2"/></image>\n'
        for n, name in enumerate(IDS)
    )
    text = (
        f'<?xml version="1.0" encoding="utf-8"?>\n<annotations><version>1.1</version><meta/>\n{images}</annotations>\n'
    )
    return [Seed("annotations.xml", text.encode(), (calls.take_in,))]


def yaml() -> list[Seed]:
    """Classes, options and pipelines."""
    chain = (
        "source: photos\noutput: work\nrounds: 2\nstrategies: [entropy, random]\nexpert: file\n"
        "ingest:\n  image-size: 64\nselect: {budget: 20}\ntrain-lnl:\n  epochs: 3\nmatrix:\n  seed: [0, 1]\n"
    )
    return [
        Seed("classes.yaml", b"names:\n- melanoma\n- naevus\n- 'no'\nordered: false\n", (calls.classes,)),
        Seed(
            "options.yaml",
            b"image-size: 64\nfit: pad\nkeep-class: [a, b]\nseed: 3\nordered: null\n",
            (calls.config_file,),
        ),
        Seed("pipeline.yaml", chain.encode(), (calls.pipeline_file,)),
    ]


# --- archives of arrays ----------------------------------------------------------------------------------------------


def _arrays(size: tuple[int, ...] = (6, 5, 4, 3)) -> dict[str, Any]:
    pixels = np.random.default_rng(1).integers(0, 256, size, dtype=np.uint8)
    labels = np.arange(len(pixels), dtype=np.uint8)[:, None] % 2
    return {
        f"{split}_{kind}": of for split in ("train", "test") for kind, of in (("images", pixels), ("labels", labels))
    }


def npz() -> list[Seed]:
    """MedMNIST's archives."""
    seeds = []
    for name, save_as, size in (
        ("a.npz", np.savez, (6, 5, 4, 3)),
        ("packed.npz", np.savez_compressed, (6, 4, 4)),
        ("breastmnist.npz", np.savez_compressed, (6, 4, 4)),
    ):
        stream = io.BytesIO()
        more = {"train_source": np.array([f"p{n}" for n in range(6)])} if name == "a.npz" else {}
        save_as(stream, **_arrays(size), **more)
        seeds.append(Seed(name, stream.getvalue(), (calls.ingest,)))
    return seeds


def hdf5() -> list[Seed]:
    """The seed program's files, stored whole and in packed pieces."""
    pixels, labels = _arrays()["train_images"], _arrays()["train_labels"]
    seeds = []
    for how in ({}, {"chunks": (2, 5, 4, 3), "compression": "gzip", "shuffle": True, "fletcher32": True}):
        for version in ("earliest", "latest"):
            stream = io.BytesIO()
            with h5py.File(stream, "w", libver=version) as file:
                file.create_dataset("dataset/images", data=pixels, **how)
                file.create_dataset("dataset/targets", data=labels.ravel().astype(np.int64))
                file.attrs["made"] = "by h5py"
            seeds.append(Seed("a.hdf5", stream.getvalue(), (calls.ingest,)))
    return seeds


# --- tables ----------------------------------------------------------------------------------------------------------


def _parquet(frame: pl.DataFrame, contract: Contract | None = None, **how: Any) -> bytes:
    stream = io.BytesIO()
    frame.write_parquet(stream, metadata=None if contract is None else contract.metadata, **how)
    return stream.getvalue()


def parquet() -> list[Seed]:
    """Tables of this program's, and those that others give it."""
    labels, data = calls.labels(), calls.data_set().samples
    chances = [[0.5, 0.25, 0.25]] * len(IDS)
    judged = {
        "sample_id": IDS,
        "split": ["test"] * 6,
        "label": ["other"] * 6,
        "predicted_label": ["melanoma"] * 6,
        "posterior": chances,
    }
    steps = {
        "sample_id": IDS * 2,
        "epoch": [0] * 6 + [1] * 6,
        "network": [1] * 12,
        "loss": [0.5] * 12,
        "p_given": [0.5] * 12,
    }
    signals = SIGNALS.make(steps | {"margin": [1.0] * 12, "kept": [True] * 12, "variance_of_gradients": [None] * 12})
    numbers = pl.DataFrame({"sample_id": IDS, "features": [[1.0, 2.0, 3.0]] * 6})
    said = pl.DataFrame({"sample_id": IDS, "label": ["naevus"] * 6, "seconds": [1.5] * 6, "unsure": [False] * 6})
    listed = pl.DataFrame({"path": IDS, "label": ["melanoma", "naevus"] * 3})
    beside = tuple((name, _encoded()) for name in IDS)
    return [
        Seed("labels.parquet", _parquet(labels, compression="zstd"), (calls.table, calls.label_table, calls.ids)),
        Seed("samples.parquet", _parquet(data, compression="snappy"), (calls.table,)),
        Seed("predictions.parquet", _parquet(PREDICTIONS.make(judged), PREDICTIONS), (calls.table, calls.predictions)),
        Seed("signals.parquet", _parquet(signals, SIGNALS, row_group_size=5, data_page_size=40), (calls.table,)),
        Seed("ledger.parquet", _parquet(LEDGER.empty(), LEDGER), (calls.table, calls.ledger)),
        Seed("features.parquet", _parquet(numbers, compression="uncompressed"), (calls.features,)),
        Seed("answers.parquet", _parquet(said, compression="gzip"), (calls.take_in, calls.table)),
        Seed("list.parquet", _parquet(listed, compression="lz4"), (calls.ingest,), beside),
    ]


# --- tensors ---------------------------------------------------------------------------------------------------------


def head_metadata() -> CheckpointMetadata:
    """What a checkpoint of heads says of itself."""
    spec = NetworkSpec(
        backbone=BACKBONE,
        train="head",
        hidden=4,
        dropout=0.1,
        image_size=SIDE,
        mean=(0.5,) * 3,
        std=(0.5,) * 3,
        feature_width=5,
    )
    return CheckpointMetadata(stage="train-lnl", method="coteaching", networks=2, classes=CLASSES.names, spec=spec)


@cache
def _backbone() -> dict[str, torch.Tensor]:
    return dict(build_backbone(BACKBONE, 0, image_size=SIDE).state_dict())


def safetensors() -> list[Seed]:
    """Images, embeddings, checkpoints and weights."""
    metadata = head_metadata()
    heads = [build_network(metadata.spec, len(CLASSES), 0, number) for number in (1, 2)]
    epochs = {
        f"epoch1.network{n}.{name}": one for n, head in enumerate(heads, 1) for name, one in head.state_dict().items()
    }
    images = {"images": torch.zeros(6, 8, 8, 3, dtype=torch.uint8)}
    whole = metadata.spec.model_copy(update={"train": "all", "feature_width": _backbone_width()})
    networks = [build_network(whole, len(CLASSES), 0, 1)]
    with TemporaryDirectory() as folder:
        place = Path(folder) / "x.safetensors"
        checkpoints.write(place, heads, {"conv.weight": torch.zeros(3, 3)}, metadata)
        head = place.read_bytes()
        checkpoints.write(place, networks, {}, metadata.model_copy(update={"spec": whole}))
        trained = place.read_bytes()
    return [  # those of heads more often than the large ones
        *[Seed("checkpoint.safetensors", head, (calls.checkpoint,))] * 4,
        Seed("whole.safetensors", trained, (calls.checkpoint,)),
        *[Seed("images.safetensors", save(images), (calls.pack,))] * 4,
        *[Seed("embeddings.safetensors", save({"embeddings": torch.zeros(len(IDS), 4)}), (calls.embeddings,))] * 4,
        *[Seed("last_epochs.safetensors", save(epochs), (calls.last_epochs,))] * 4,
        Seed("weights.safetensors", save(_backbone()), (calls.first_weights,)),
    ]


def _backbone_width() -> int:
    from stages.training.backbones import feature_width

    return feature_width(BACKBONE, SIDE)


# --- images and archives ---------------------------------------------------------------------------------------------


def images() -> list[Seed]:
    """Images of each kind that is told of."""
    turned = Image.Exif()
    turned[0x0112] = 6
    many = [Image.new("L", (9, 7), shade) for shade in (1, 2, 3)]
    made = [
        ("a.png", _encoded()),
        ("palette.png", _encoded("P", transparency=3)),
        ("grey.png", _encoded("LA")),
        ("deep.png", _encoded("I;16")),
        ("a.jpg", _encoded(kind="JPEG", exif=turned.tobytes())),
        ("stepwise.jpeg", _encoded("CMYK", "JPEG", progressive=True)),
        ("a.tif", _encoded(kind="TIFF", compression="tiff_lzw")),
        ("deflated.tiff", _encoded("CMYK", "TIFF", compression="tiff_adobe_deflate")),
        ("float.tif", _encoded("F", "TIFF")),
        ("deep.tif", _encoded("I;16", "TIFF")),
        ("jpeg.tif", _encoded(kind="TIFF", compression="jpeg")),
        ("fax.tif", _encoded("1", "TIFF", compression="group4")),
        ("several.tif", _encoded("L", "TIFF", save_all=True, append_images=many)),
        ("a.bmp", _encoded(kind="BMP")),
        ("palette.bmp", _encoded("P", "BMP")),
        ("really_a.gif.png", _encoded("P", "GIF", save_all=True, append_images=many)),
        ("really_a.webp.png", _encoded(kind="WEBP")),
    ]
    return [Seed(name, content, (calls.image,)) for name, content in made]


def zips() -> list[Seed]:
    """Answers in a zip."""
    listed = {"train.txt": "".join(f"{name} 1\n" for name in IDS), "synsets.txt": "melanoma\nnaevus\nother\n"}
    folders = {f"naevus/{name}": "" for name in IDS}
    seeds = []
    for name, entries in (("lists.zip", listed), ("folders.zip", folders), ("csv.zip", {"answers.csv": _ANSWERS})):
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as packed:
            for entry, text in entries.items():
                packed.writestr(entry, text)
        seeds.append(Seed(name, stream.getvalue(), (calls.take_in,)))
    return seeds

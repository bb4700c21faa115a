"""Files of answers that are to be spoilt: twelve samples in every format."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np

CLASSES = ("adenocarcinoma", "dermatofibroma", "keratöse plaque", "haemangioblastoma")
IDS = (
    "hippopotamus_north",
    "çrocodile_meadow",
    "rhinoceros/valley",
    "orangutan_quarry",
    "salamander_wharf",
    "woodpecker_bridge",
    "kingfisher_tundra",
    "jellyfish_upland",
    "mongoose_cathedral",
    "tarantula_vineyard",
    "blackbird_outside",
    "dragonfly_outside",
)
ASKED = IDS[:10]
CHOSEN = {name: (CLASSES[1 + place % 3],) for place, name in enumerate(IDS)} | {IDS[4]: ()}
CORRECTED, SKIPPED = IDS[3], IDS[4]  # answered twice by one person; looked at and skipped
GIVEN = {name: {*classes} for name, classes in CHOSEN.items()}  # every class that the file gives a sample
GIVEN[CORRECTED] = {CLASSES[1], CLASSES[2]}
Generator = np.random.Generator


def _answers() -> list[tuple[str, str, str, float, str, str]]:
    """Sample, class, annotator, seconds, time and comment; the second answer of one corrects the first."""
    rows = []
    for place, (name, classes) in enumerate(CHOSEN.items()):
        for label in classes:
            rows.append((name, label, "ann@example.org", 3.5, f"2026-01-02T03:04:{place:02}Z", 'näher, "ansehen"'))
    first = next(row for row in rows if row[0] == CORRECTED)
    other = next(iter(GIVEN[CORRECTED] - {first[1]}))
    return [(CORRECTED, other, first[2], 1.0, "2026-01-01T00:00:00Z", ""), *rows]


def _table(header: list[str], rows: list[list[Any]], mark: str = ",") -> bytes:
    stream = io.StringIO()
    csv.writer(stream, delimiter=mark, lineterminator="\n").writerows([header, *rows])
    return stream.getvalue().encode()


def _lines(objects: list[Any], start: str = "[", end: str = "]") -> bytes:
    body = ",\n".join(json.dumps(one, ensure_ascii=False) for one in objects)
    return f"{start}\n{body}\n{end}\n".encode()


def plain(mark: str = ",") -> bytes:
    header = ["sample_id", "label", "annotator", "seconds", "timestamp", "comment"]
    return _table(header, [[*row] for row in _answers()] + [[SKIPPED, "", "ann@example.org", 1.0, "", ""]], mark)


def label_studio_csv() -> bytes:
    header = "annotation_id annotator comment created_at id label lead_time sample_id updated_at".split()
    rows = [
        [n, who, note, at, n, label, s, name, at] for n, (name, label, who, s, at, note) in enumerate(_answers(), 1)
    ]
    return _table(header, [*rows, ["", "", "", "", 99, "", "", SKIPPED, ""]])


def label_studio_min() -> bytes:
    header = "annotation_id annotator comment created_at id label lead_time sample_id updated_at".split()
    rows = [[n, 1, note, at, n, label, s, name, at] for n, (name, label, _, s, at, note) in enumerate(_answers(), 1)]
    return _lines([dict(zip(header, row, strict=True)) for row in rows])


def label_studio_json() -> bytes:
    tasks = []
    for n, (name, label, who, s, at, note) in enumerate(_answers(), 1):
        result = [
            {"from_name": "label", "to_name": "image", "type": "choices", "value": {"choices": [label]}},
            {"from_name": "comment", "to_name": "image", "type": "textarea", "value": {"text": [note]}},
        ]
        about = {"id": n, "completed_by": {"id": 1, "email": who}, "was_cancelled": False, "lead_time": s}
        annotation = {**about, "created_at": at, "updated_at": at, "result": result}
        tasks.append({"id": n, "data": {"sample_id": name}, "annotations": [annotation], "predictions": []})
    skipped = {"id": 99, "completed_by": 1, "was_cancelled": True, "result": []}
    return _lines([*tasks, {"id": 99, "data": {"sample_id": SKIPPED}, "annotations": [skipped]}])


def cvat() -> bytes:
    rows = [
        f'<image id="{n}" name="{name}.png" width="8" height="8">'
        + "".join(f'<tag label="{label}" source="manual"></tag>' for label in classes)
        + "</image>"
        for n, (name, classes) in enumerate(CHOSEN.items())
    ]
    return "\n".join(['<?xml version="1.0" encoding="utf-8"?>', "<annotations>", *rows, "</annotations>", ""]).encode()


def labelbox() -> bytes:
    rows = []
    for n, (name, label, who, s, at, note) in enumerate(_answers(), 1):
        radio = {"name": "Diagnosis", "radio_answer": {"name": label, "value": label}}
        text = {"name": "comment", "text_answer": {"content": note}}
        one = {
            "id": f"label{n}",
            "label_details": {"created_by": who, "created_at": at, "updated_at": at},
            "performance_details": {"seconds_to_create": s, "skipped": False},
            "annotations": {"classifications": [radio, text]},
        }
        rows.append({"data_row": {"id": f"row{n}", "global_key": name}, "projects": {"p": {"labels": [one]}}})
    return "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in rows).encode()


def coco() -> bytes:
    images = {name: 1_111_111 + 2_020_202 * n for n, name in enumerate(IDS)}
    categories = {name: 313_131 + 252_525 * n for n, name in enumerate(CLASSES)}
    pairs = [(name, label) for name, classes in CHOSEN.items() for label in classes]
    parts = {
        "images": [{"id": number, "file_name": f"{name}.png"} for name, number in images.items()],
        "categories": [{"id": number, "name": name} for name, number in categories.items()],
        "annotations": [
            {"id": n, "image_id": images[name], "category_id": categories[label], "bbox": []}
            for n, (name, label) in enumerate(pairs, 1)
        ],
    }
    return b"{" + b",\n".join(b'"%s": %s' % (name.encode(), _lines(rows)) for name, rows in parts.items()) + b"}"


def imagenet_list() -> bytes:
    """Indices far apart: those between are classes that the data set does not have."""
    return "".join(
        " ".join([f"{name}.png", *(str(111 * CLASSES.index(label)) for label in classes)]) + "\n"
        for name, classes in CHOSEN.items()
    ).encode()


def synsets() -> bytes:
    names = [f"foreign object {n:03}" for n in range(400)]
    for n, name in enumerate(CLASSES):
        names[111 * n] = name
    return "".join(f"{name}\n" for name in names).encode()


def zipped(entries: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as packed:
        for name, content in entries.items():
            packed.writestr(zipfile.ZipInfo(name), content)
    return stream.getvalue()


def imagenet_folders() -> bytes:
    folders = {name: classes[0] if classes else "no_label" for name, classes in CHOSEN.items()}
    return zipped({f"{folder}/{name}.png": b"" for name, folder in folders.items()})


FORMATS: dict[str, Callable[[], bytes]] = {
    "comma": plain,
    "semicolon": lambda: plain(";"),
    "tab": lambda: plain("\t"),
    "label-studio-csv": label_studio_csv,
    "label-studio-json": label_studio_json,
    "label-studio-json-min": label_studio_min,
    "cvat": cvat,
    "labelbox": labelbox,
    "coco": coco,
    "imagenet-list": imagenet_list,
    "imagenet-folders": imagenet_folders,
}


def spoil(kind: str, edit: Callable[[bytes, Generator], bytes], rng: Generator) -> bytes:
    """The file of a kind, broken once; lists lie in a zip, where list or classes are broken."""
    if kind != "imagenet-list":
        return edit(FORMATS[kind](), rng)
    parts = {"default.txt": imagenet_list(), "synsets.txt": synsets()}
    broken = list(parts)[int(rng.integers(2))]
    return zipped(parts | {broken: edit(parts[broken], rng)})

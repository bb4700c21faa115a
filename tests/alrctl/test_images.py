"""Every kind of image becomes 3-channel 8-bit at the wanted size; the pack holds them exactly as decoded one by one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file

from alrctl import images, limits
from alrctl.images import decode, open_pack, open_pixels, write_pack
from schemas.errors import DataError
from stages.ingest import Fit
from stages.report import SilentReport

RED, BLACK = (250, 10, 20), (0, 0, 0)


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


def saved(image: Image.Image, path: Path, **options: object) -> Path:
    image.save(path, **options)
    return path


def plain(colour: tuple[int, ...] | int, mode: str) -> Image.Image:
    return Image.new(mode, (16, 16), colour)


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif", "a.tiff"])
def test_a_lossless_file_is_decoded_to_its_pixels(tmp_path: Path, name: str) -> None:
    found = decode(saved(Image.fromarray(noise(1)), tmp_path / name), 16, "stretch")
    assert (found.pixels == noise(1)).all()
    assert (found.width, found.height, found.rule) == (16, 16, "")


def test_a_jpeg_is_decoded_near_to_its_pixels(tmp_path: Path) -> None:
    found = decode(saved(plain(RED, "RGB"), tmp_path / "a.jpg", quality=95), 16, "stretch")
    assert np.abs(found.pixels.astype(int) - RED).max() <= 3


def test_grey_becomes_three_equal_channels(tmp_path: Path) -> None:
    grey = noise(2)[..., 0]
    found = decode(saved(Image.fromarray(grey), tmp_path / "a.png"), 16, "stretch")
    assert (found.pixels == grey[..., None]).all()
    assert found.rule == "L"


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_sixteen_bits_are_scaled_from_the_least_to_the_greatest(tmp_path: Path, name: str) -> None:
    ramp = np.linspace(1000, 5000, 256).round().astype(np.uint16).reshape(16, 16)
    found = decode(saved(Image.fromarray(ramp), tmp_path / name), 16, "stretch")
    wanted = ((ramp - 1000.0) * 255 / 4000).round().astype(np.uint8)
    assert (found.pixels == wanted[..., None]).all()
    assert found.rule == "I;16"


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_wide_and_float_images_are_scaled_alike(tmp_path: Path, dtype: type) -> None:
    ramp = (np.arange(256).reshape(16, 16) * 4 - 100).astype(dtype)
    found = decode(saved(Image.fromarray(ramp), tmp_path / "a.tif"), 16, "stretch")
    assert (found.pixels == np.arange(256).reshape(16, 16, 1)).all()
    assert found.rule in {"I", "F"}


def test_a_flat_sixteen_bit_image_is_black_and_no_division_by_nought(tmp_path: Path) -> None:
    flat = np.full((16, 16), 4000, np.uint16)
    assert not decode(saved(Image.fromarray(flat), tmp_path / "a.png"), 16, "stretch").pixels.any()


def test_transparency_is_laid_on_black(tmp_path: Path) -> None:
    image = plain((*RED, 255), "RGBA")
    image.paste((*RED, 0), (0, 0, 8, 16))
    image.paste((200, 100, 50, 128), (8, 0, 16, 8))
    pixels = decode(saved(image, tmp_path / "a.png"), 16, "stretch").pixels
    assert (pixels[:, :8] == BLACK).all()
    assert (pixels[8:, 8:] == RED).all()
    assert np.abs(pixels[:8, 8:].astype(int) - (100, 50, 25)).max() <= 1


@pytest.mark.parametrize("transparent", [False, True])
def test_a_palette_becomes_its_colours(tmp_path: Path, transparent: bool) -> None:
    image = Image.new("P", (16, 16), 1)
    image.putpalette([0, 200, 0, *RED])
    image.paste(0, (0, 0, 8, 16))
    path = saved(image, tmp_path / "a.png", **({"transparency": 0} if transparent else {}))
    found = decode(path, 16, "stretch")
    assert (found.pixels[:, 8:] == RED).all()
    assert (found.pixels[:, :8] == (BLACK if transparent else (0, 200, 0))).all()
    assert found.rule == "P"


def test_grey_with_alpha_and_black_and_white_are_understood(tmp_path: Path) -> None:
    two = Image.new("LA", (16, 16), (90, 255))
    two.paste((90, 0), (0, 0, 8, 16))
    pixels = decode(saved(two, tmp_path / "la.png"), 16, "stretch").pixels
    assert (pixels[:, 8:] == 90).all()
    assert (pixels[:, :8] == 0).all()
    one = decode(saved(plain(1, "1"), tmp_path / "one.png"), 16, "stretch")
    assert (one.pixels == 255).all()


def test_a_cmyk_jpeg_keeps_its_colour(tmp_path: Path) -> None:
    path = saved(plain((0, 255, 255, 0), "CMYK"), tmp_path / "a.jpg", quality=95)
    found = decode(path, 16, "stretch")
    assert np.abs(found.pixels.astype(int) - (255, 0, 0)).max() <= 10
    assert found.rule == "CMYK"


@pytest.mark.parametrize(("orientation", "turns"), [(1, 0), (6, 3), (3, 2), (8, 1)])
def test_the_rotation_that_a_camera_noted_is_applied(tmp_path: Path, orientation: int, turns: int) -> None:
    upright = np.zeros((16, 32, 3), np.uint8)
    upright[:8, :16] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(Image.fromarray(upright), tmp_path / "a.jpg", exif=exif, quality=100)
    found = decode(path, 32, "stretch")
    wanted = np.asarray(Image.fromarray(np.rot90(upright, turns)).resize((32, 32)))
    assert (found.width, found.height) == ((32, 16) if turns % 2 == 0 else (16, 32))
    assert np.abs(found.pixels.astype(int) - wanted).mean() < 12


@pytest.mark.parametrize("shape", [(16, 16), (16, 16, 1), (16, 16, 3)])
def test_an_array_is_taken_as_it_is(shape: tuple[int, ...]) -> None:
    given = np.random.default_rng(3).integers(0, 256, shape, dtype=np.uint8)
    found = decode(given, 16, "stretch")
    assert (found.pixels == given.reshape(16, 16, -1)).all()
    assert found.rule == ""


def stripes(height: int, width: int) -> NDArray[np.uint8]:
    """Return red with a green first and last row, and a blue first and last column."""
    made = np.full((height, width, 3), RED, np.uint8)
    made[[0, -1]] = (0, 255, 0)
    made[:, [0, -1]] = (0, 0, 255)
    return made


def test_stretch_keeps_the_whole_image() -> None:
    pixels = decode(stripes(16, 64), 16, "stretch").pixels
    assert pixels.shape == (16, 16, 3)
    assert pixels[8, 0, 2] > RED[2]
    assert pixels[0, 8, 1] > RED[1]


def test_crop_keeps_the_middle_undistorted() -> None:
    pixels = decode(stripes(16, 64), 16, "crop").pixels
    assert (pixels == stripes(16, 64)[:, 24:40]).all()


def test_pad_keeps_everything_undistorted_between_black_bars() -> None:
    pixels = decode(stripes(16, 64), 64, "pad").pixels
    assert (pixels[24:40] == stripes(16, 64)).all()
    assert not pixels[:24].any()
    assert not pixels[40:].any()


@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
def test_an_image_of_the_wanted_size_is_not_touched(fit: Fit) -> None:
    assert (decode(noise(4), 16, fit).pixels == noise(4)).all()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is empty (0 bytes)"),
        (b"no image", "is no readable image file (cannot identify image file"),
    ],
)
def test_a_file_that_is_no_image_is_named(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    with pytest.raises(DataError) as refused:
        decode(path, 16, "stretch")
    assert str(refused.value).startswith(f"{path}: {told}")


def test_an_image_that_is_cut_short_or_gone_is_named(tmp_path: Path) -> None:
    path = saved(Image.fromarray(noise(1, 64, 64)), tmp_path / "a.jpg")
    path.write_bytes(path.read_bytes()[:700])
    with pytest.raises(DataError, match=r"a\.jpg: is no readable image file \(image file is truncated"):
        decode(path, 16, "stretch")
    with pytest.raises(DataError, match=r"b\.jpg: no such file"):
        decode(tmp_path / "b.jpg", 16, "stretch")


def test_an_image_past_all_measure_is_not_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST_PIXELS", 200)
    with pytest.raises(DataError, match=r"a\.png: 16 x 16 pixels is past what is decoded here"):
        decode(saved(plain(RED, "RGB"), tmp_path / "a.png"), 16, "stretch")


def getters(folder: Path, count: int) -> list[Callable[[], Path | NDArray[np.generic]]]:
    """Return images of several kinds and sizes, files and arrays by turns."""
    found: list[Callable[[], Path | NDArray[np.generic]]] = []
    for number in range(count):
        pixels = noise(number, 10 + number % 7, 12 + number % 5)
        if number % 3 == 0:
            found.append(lambda pixels=pixels: pixels)
        else:
            image = Image.fromarray(pixels if number % 3 == 1 else pixels[..., 0])
            path = saved(image, folder / f"{number}.png")
            found.append(lambda path=path: path)
    return found


@pytest.mark.parametrize("workers", [0, 1, 5])
@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
def test_the_pack_holds_each_image_as_decoded_alone_in_order(tmp_path: Path, fit: Fit, workers: int) -> None:
    gets = getters(tmp_path, 70)
    report = Listening()
    facts = write_pack(tmp_path / "pack.safetensors", gets, 16, fit, False, workers, report)
    alone = [decode(get(), 16, fit) for get in gets]
    pack = open_pack(tmp_path / "pack.safetensors")
    assert pack.dtype == torch.uint8
    assert (pack.numpy() == np.stack([one.pixels for one in alone])).all()
    assert facts.good == [True] * 70
    assert facts.sizes == [(one.width, one.height) for one in alone]
    assert facts.rules == {"L": 23}
    assert report.progressed == [(64, 70), (70, 70)]


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
    for name, workers in (("a", 1), ("b", 4)):
        write_pack(tmp_path / name, gets, 16, "crop", False, workers, SilentReport())
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


# --- for people to look at -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("height", "width", "longest", "wanted"),
    [
        (90, 60, 30, (30, 20)),
        (60, 90, 30, (20, 30)),
        (40, 40, 10, (10, 10)),
        (30, 200, 20, (3, 20)),
        (4, 900, 90, (1, 90)),
    ],
)
def test_a_reduced_image_keeps_its_shape_and_is_no_longer_than_asked(
    tmp_path: Path, height: int, width: int, longest: int, wanted: tuple[int, int]
) -> None:
    path = saved(Image.fromarray(noise(1, height, width)), tmp_path / "a.png")
    found = images.reduced(path, longest)
    assert found.dtype == np.uint8
    assert found.shape == (*wanted, 3)


@pytest.mark.parametrize("longest", [16, 17, 5000])
def test_an_image_that_is_small_enough_is_left_as_it_is(tmp_path: Path, longest: int) -> None:
    assert (images.reduced(saved(Image.fromarray(noise(1)), tmp_path / "a.png"), longest) == noise(1)).all()


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "1", "LA", "I;16"])
def test_a_reduced_image_of_any_mode_is_what_would_be_ingested(tmp_path: Path, mode: str) -> None:
    if mode == "I;16":
        image = Image.fromarray(np.arange(256, dtype=np.uint16).reshape(16, 16) * 200)
    else:
        image = Image.fromarray(noise(2)).convert(mode)
    path = saved(image, tmp_path / ("a.tif" if mode in ("CMYK", "I;16") else "a.png"))
    assert (images.reduced(path, 16) == decode(path, 16, "stretch").pixels).all()


def test_a_reduced_photograph_stands_upright(tmp_path: Path) -> None:
    turned = Image.fromarray(noise(3, 20, 10))
    exif = turned.getexif()
    exif[0x0112] = 6
    path = saved(turned, tmp_path / "a.png", exif=exif)
    assert images.reduced(path, 100).shape == (10, 20, 3)
    assert (images.reduced(path, 100) == np.rot90(noise(3, 20, 10), -1)).all()


def test_a_file_that_cannot_be_shown_is_told(tmp_path: Path) -> None:
    path = saved(Image.fromarray(noise(1, 64, 64)), tmp_path / "a.png")
    for content in (path.read_bytes()[:200], b"", b"no image"):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"a\.png: is no readable image file \("):
            images.reduced(path, 16)
    with pytest.raises(DataError, match=r"gone\.png: no such file$"):
        images.reduced(tmp_path / "gone.png", 16)
    with pytest.raises(DataError, match=r": is a directory, and no image file$"):
        images.reduced(tmp_path, 16)

"""Pictures: from the installation, from folders with everything that folders hold, and from downloads."""

import gzip
import hashlib
import io
import os
import pickle
import struct
import tarfile
import time
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from torchtty.engine.contract.errors import UnreachableError, UserError
from torchtty.engine.contract.settings.catalogue import catalogue
from torchtty.engine.data import images
from torchtty.engine.data.images import downloaded_pictures, find_pictures, glance, load_pictures, squared


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three pictures of three kinds: red, green and blue."""
    place = tmp_path / "pictures"
    (place / "deeper").mkdir(parents=True)
    Image.new("RGB", (50, 40), "red").save(place / "a.png")
    Image.new("RGB", (40, 90), (0, 255, 0)).save(place / "b.jpg", quality=95)
    Image.new("RGB", (33, 33), "blue").save(place / "deeper" / "c.webp", lossless=True)
    (place / "notes.txt").write_text("no picture")
    return place


class TestDigits:
    def test_they_come_with_the_installation(self) -> None:
        pictures = load_pictures("digits", 32, 1)
        assert pictures.pixels.shape == (1797, 1, 32, 32)
        assert pictures.pixels.dtype == np.uint8
        assert pictures.pixels.max() > 240
        assert pictures.pixels.min() == 0
        assert "1,797 pictures at 32x32, grey" in pictures.notes[0]

    def test_they_are_those_of_scikit_learn_to_the_bit(self) -> None:
        pixels = load_pictures("digits", 8, 1).pixels  # at their own size nothing is resized
        recorded = "b41ca9fd335466eee997366c2e6f6bbe0a1b4582afe091fc4eba35f4a254182f"
        assert hashlib.sha256(pixels.tobytes()).hexdigest() == recorded

    def test_a_limit_keeps_always_the_same(self) -> None:
        first, again = (load_pictures("digits", 64, 3, limit=5).pixels for _ in range(2))
        assert first.shape == (5, 3, 64, 64)
        assert np.array_equal(first, again)


class TestFolders:
    def test_pictures_of_every_kind_and_depth_are_found(self, folder: Path) -> None:
        pictures = load_pictures(str(folder), 32, 3)
        assert pictures.pixels.shape == (3, 3, 32, 32)
        means = pictures.pixels.mean((2, 3))
        for channel, mean in enumerate(means):  # red, green, blue, in the order of their names
            assert mean.argmax() == channel
            assert mean[channel] > 240

    def test_they_are_cut_around_their_middle(self) -> None:
        wide = Image.new("RGB", (96, 32), "white")
        wide.paste("black", (32, 0, 64, 32))
        assert squared(wide, 32, 1).max() == 0

    def test_transparent_parts_become_white(self) -> None:
        assert squared(Image.new("RGBA", (8, 8), (0, 0, 0, 0)), 32, 1).min() == 255

    def test_sixteen_bits_keep_their_greys(self) -> None:
        grey = Image.fromarray(np.full((8, 8), 128 << 8, np.uint16))
        assert squared(grey, 32, 1).max() == 128

    def test_broken_pictures_are_left_out_and_counted(self, folder: Path) -> None:
        (folder / "torn.png").write_bytes((folder / "a.png").read_bytes()[:60])
        (folder / "text.jpg").write_text("this is no picture")
        pictures = load_pictures(str(folder), 32, 3)
        assert len(pictures) == 3
        note = next(note for note in pictures.notes if "left out" in note)
        assert note.startswith("2 broken pictures were left out")
        assert "torn.png" in note
        assert "text.jpg (is no PNG, JPEG or WebP picture)" in note

    def test_if_all_are_broken_the_message_names_one(self, tmp_path: Path) -> None:
        (tmp_path / "only.png").write_bytes(b"\x89PNG\r\n\x1a\n then nothing")
        with pytest.raises(UserError, match=r"its only picture cannot be read: only\.png"):
            load_pictures(str(tmp_path), 32, 3)

    def test_links_do_not_leave_the_folder(self, folder: Path, tmp_path: Path) -> None:
        outside = tmp_path / "outside"
        outside.mkdir()
        Image.new("RGB", (9, 9)).save(outside / "secret.png")
        os.symlink(outside / "secret.png", folder / "link.png")
        os.symlink(outside, folder / "way-out")
        os.symlink(folder / "a.png", folder / "inside.png")
        os.symlink(folder, folder / "deeper" / "circle")
        found, links = find_pictures(folder)
        assert sorted(path.name for path in found) == ["a.png", "b.jpg", "c.webp", "inside.png"]
        assert links == 3
        assert any("3 links" in note for note in load_pictures(str(folder), 32, 3).notes)

    def test_a_picture_that_claims_billions_of_pixels_is_refused(self, folder: Path) -> None:
        def chunk(kind: bytes, data: bytes) -> bytes:
            import zlib

            return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

        header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
        (folder / "bomb.png").write_bytes(
            b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
        )
        pictures = load_pictures(str(folder), 32, 3)
        assert len(pictures) == 3
        assert any("bomb.png (claims" in note for note in pictures.notes)

    def test_a_large_picture_below_pillow_s_own_limit_is_refused_too(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(images, "MOST_PIXELS", 1500)
        assert len(load_pictures(str(folder), 32, 3)) == 1  # the one of 33 x 33

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("nowhere", "there is no set of pictures called 'nowhere', nor a folder"),
            ("python-docs", "holds text, and this model learns from pictures"),
        ],
    )
    def test_other_names_are_refused(self, name: str, message: str) -> None:
        with pytest.raises(UserError, match=message):
            load_pictures(name, 32, 1)

    def test_an_empty_folder_and_a_file_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match="no PNG, JPEG or WebP pictures"):
            load_pictures(str(tmp_path), 32, 1)
        (tmp_path / "file.png").write_bytes(b"")
        with pytest.raises(UserError, match="is a file"):
            load_pictures(str(tmp_path / "file.png"), 32, 1)


def test_a_glance_fetches_nothing() -> None:
    assert glance("celeba", 64, 3).pixels.shape == (64, 3, 64, 64)


class TestDownloads:
    """What the archives hold, served from a mirror's folder. torchvision, which knows their names, is imported once."""

    @pytest.fixture(autouse=True)
    def archives(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """A mirror; what is in its files is not checked."""
        mirror = tmp_path / "mirror"
        mirror.mkdir()
        monkeypatch.setenv("TORCHTTY_MIRROR", str(mirror))
        monkeypatch.setattr(images, "_archives", lambda name: [_ARCHIVES[name]])
        return mirror

    def test_mnist_s_format_is_read(self, archives: Path) -> None:
        pixels = np.arange(2 * 28 * 28, dtype=np.uint32).reshape(2, 28, 28).astype(np.uint8)
        (archives / "images.gz").write_bytes(gzip.compress(struct.pack(">iiii", 2051, 2, 28, 28) + pixels.tobytes()))
        assert downloaded_pictures(catalogue()["mnist"], 32, 1, None).shape == (2, 1, 32, 32)

    def test_a_file_of_labels_is_no_picture(self, archives: Path) -> None:
        (archives / "images.gz").write_bytes(gzip.compress(struct.pack(">iiii", 2049, 2, 28, 28)))
        with pytest.raises(UserError, match=r"images\.gz holds no pictures"):
            downloaded_pictures(catalogue()["mnist"], 32, 1, None)

    def test_cifar_s_colours_come_in_their_order(self, archives: Path) -> None:
        red = np.zeros((4, 3, 32, 32), np.uint8)
        red[:, 0] = 200
        _write_cifar(archives / "cifar.tar.gz", pickle.dumps({b"data": red.reshape(4, -1)}, protocol=2))
        pixels = downloaded_pictures(catalogue()["cifar10"], 32, 3, 3)
        assert pixels.shape == (3, 3, 32, 32)
        assert pixels.mean((0, 2, 3)).tolist() == [200, 0, 0]

    def test_a_pickle_that_asks_for_more_than_arrays_does_nothing(self, archives: Path, tmp_path: Path) -> None:
        class Evil:
            def __reduce__(self) -> Any:
                return os.mkdir, (str(tmp_path / "owned"),)

        _write_cifar(archives / "cifar.tar.gz", pickle.dumps({b"data": Evil()}, protocol=2))
        with pytest.raises(UserError, match=r"it asks for \w+\.mkdir"):
            downloaded_pictures(catalogue()["cifar10"], 32, 3, None)
        assert not (tmp_path / "owned").exists()

    def test_portraits_are_read_from_the_archive_itself(self, archives: Path) -> None:
        stream = io.BytesIO()
        Image.new("RGB", (178, 218), "white").save(stream, "JPEG")
        with zipfile.ZipFile(archives / "faces.zip", "w") as archive:
            archive.writestr("img/000001.jpg", stream.getvalue())
            archive.writestr("img/readme.txt", "no picture")
        assert downloaded_pictures(catalogue()["celeba"], 64, 3, None).shape == (1, 3, 64, 64)

    def test_a_mirror_without_the_file_says_so_and_names_digits(self) -> None:
        with pytest.raises(UnreachableError, match=r"The mirror .* has no cifar10/cifar\.tar\.gz\. Choose digits"):
            downloaded_pictures(catalogue()["cifar10"], 32, 3, None)

    def test_a_mirror_with_another_file_of_that_name_says_so(
        self, archives: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(images, "_archives", lambda _name: [replace(_ARCHIVES["cifar10"], md5="0" * 32)])
        (archives / "cifar.tar.gz").write_bytes(b"something else")
        with pytest.raises(UnreachableError, match=r"holds a cifar10/cifar\.tar\.gz with other contents than expected"):
            downloaded_pictures(catalogue()["cifar10"], 32, 3, None)

    def test_without_a_network_one_sentence_names_digits_and_nothing_stays(
        self, data_folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, "http://127.0.0.1:9")  # a proxy that nobody runs
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("TORCHTTY_MIRROR")
        began = time.perf_counter()
        with pytest.raises(
            UnreachableError,
            match=r"data\.dataset: mnist/images\.gz could not be downloaded from b\.invalid: no connection\. Choose digits",
        ):
            downloaded_pictures(catalogue()["mnist"], 32, 1, None)
        assert time.perf_counter() - began < 3
        assert list((data_folder / "mnist").iterdir()) == []


def test_torchvision_knows_every_archive() -> None:
    files = {
        name: [archive.file for archive in images._archives(name)]
        for name in ("mnist", "fashion-mnist", "cifar10", "celeba")
    }
    assert files == {
        "mnist": ["train-images-idx3-ubyte.gz", "t10k-images-idx3-ubyte.gz"],
        "fashion-mnist": ["train-images-idx3-ubyte.gz", "t10k-images-idx3-ubyte.gz"],
        "cifar10": ["cifar-10-python.tar.gz"],
        "celeba": ["img_align_celeba.zip"],
    }
    for archive in (archive for name in files for archive in images._archives(name)):
        assert all(address.startswith(("https://", "http://")) for address in archive.addresses)
        assert archive.addresses
        assert len(archive.md5) == 32


_ARCHIVES = {
    "mnist": images.Archive("images.gz", "", ("https://a.invalid/images.gz", "https://b.invalid/images.gz")),
    "cifar10": images.Archive("cifar.tar.gz", "", ("https://a.invalid/cifar.tar.gz",)),
    "celeba": images.Archive("faces.zip", "", ("https://a.invalid/download?id=5",)),
}


def _write_cifar(path: Path, batch: bytes) -> None:
    with tarfile.open(path, "w:gz") as archive:
        member = tarfile.TarInfo("cifar-10-batches-py/data_batch_1")
        member.size = len(batch)
        archive.addfile(member, io.BytesIO(batch))

"""Every layout of CIFAR is read to the same arrays, and what is damaged is refused in one line."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import subprocess
import sys
import tarfile
import threading
import zipfile
from functools import partial
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from common.errors import UserError
from models.datasets import download_cifar, have_cifar, load_cifar
from models.datasets.cifar import _LAYOUTS

ROOT = Path(__file__).parent.parent
COUNT = 4  # images of a synthetic batch


def batch(seed: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Random images uint8 [COUNT, 3072] and labels [COUNT]."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (COUNT, 3072), np.uint8), rng.integers(0, classes, COUNT)


class Python2Pickler(pickle._Pickler):
    """Writes text and bytes alike as Python 2 strings, as the official batches hold them."""

    dispatch = dict(pickle._Pickler.dispatch)

    def save_string(self, value: str | bytes) -> None:
        data = value.encode("latin-1") if isinstance(value, str) else value
        self.write(pickle.BINSTRING + len(data).to_bytes(4, "little") + data)
        self.memoize(value)

    dispatch[str] = dispatch[bytes] = save_string


def python_blob(images: np.ndarray, labels: np.ndarray, key: str) -> bytes:
    """A batch as the official python archives hold it: Python 2 strings, the old name of numpy's core."""
    sink = io.BytesIO()
    Python2Pickler(sink, protocol=2).dump({"data": images, key: labels.tolist(), "batch_label": "synthetic"})
    return sink.getvalue().replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")


def binary_blob(images: np.ndarray, labels: np.ndarray, label_bytes: int) -> bytes:
    """A batch as the official binary archives hold it; a coarse label comes before the fine one."""
    coarse = np.full((COUNT, label_bytes - 1), 19)
    return np.hstack([coarse, labels[:, None], images]).astype(np.uint8).tobytes()


def make_folder(place: Path, name: str, kind: str) -> Path:
    """Write the unpacked official folder of `kind` ("python" or "binary") below `place`."""
    layout = _LAYOUTS[name]
    folder = place / (layout.python_dir if kind == "python" else layout.binary_dir)
    folder.mkdir(parents=True)
    for seed, file in enumerate((*layout.train, layout.test)):
        images, labels = batch(seed, layout.classes)
        if kind == "python":
            (folder / file).write_bytes(python_blob(images, labels, layout.label_key.decode()))
        else:
            (folder / f"{file}.bin").write_bytes(binary_blob(images, labels, layout.binary_labels))
    return folder


def make_archive(place: Path, name: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Pack such a folder, remove it, and let the loader expect the archive's checksum."""
    folder = make_folder(place, name, kind)
    archive = place / next(a for a in _LAYOUTS[name].archives if kind in a)
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(folder, folder.name)
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    expect_md5(archive, name, monkeypatch)
    return archive


def expect_md5(archive: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = hashlib.md5(archive.read_bytes()).hexdigest()
    monkeypatch.setitem(_LAYOUTS[name].archives, archive.name, digest)


def assert_loads(name: str, folder: Path) -> None:
    """Both splits come back as the batches that were written."""
    layout = _LAYOUTS[name]
    seeds = {"train": range(len(layout.train)), "test": [len(layout.train)]}
    for split, numbers in seeds.items():
        data = load_cifar(name, split, folder)
        images, labels = zip(*(batch(n, layout.classes) for n in numbers), strict=True)
        np.testing.assert_array_equal(data.images, np.concatenate(images).reshape(-1, 3, 32, 32))
        np.testing.assert_array_equal(data.labels, np.concatenate(labels))
        assert (data.images.dtype, data.labels.dtype, data.classes) == (np.uint8, np.int64, layout.classes)


def assert_one_line(error: pytest.ExceptionInfo) -> None:
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("kind", ["python", "binary"])
@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
class TestLayouts:
    def test_folder(self, tmp_path: Path, name: str, kind: str) -> None:
        folder = make_folder(tmp_path, name, kind)
        assert have_cifar(name, tmp_path)
        assert_loads(name, tmp_path)
        assert_loads(name, folder)

    def test_sub_folder(self, tmp_path: Path, name: str, kind: str) -> None:
        make_folder(tmp_path / name, name, kind)
        assert_loads(name, tmp_path)

    def test_archive(self, tmp_path: Path, name: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
        archive = make_archive(tmp_path, name, kind, monkeypatch)
        assert_loads(name, tmp_path)
        assert_loads(name, archive)


def test_strips(tmp_path: Path) -> None:
    images = np.random.default_rng(5).integers(0, 256, (COUNT, 32, 32, 3), np.uint8)
    for stem, pixels in (("cifar10_test", images), ("cifar10_train_6bit", images >> 2)):
        webp = io.BytesIO()
        Image.fromarray(pixels.reshape(-1, 32, 3)).save(webp, "WEBP", lossless=True, exact=True)
        with zipfile.ZipFile(tmp_path / f"{stem}.zip", "w") as archive:
            archive.writestr("000.webp", webp.getvalue())
    np.savez(tmp_path / "cifar10_labels.npz", train=np.arange(COUNT), test=np.arange(COUNT)[::-1])
    test, train = load_cifar("cifar10", "test", tmp_path), load_cifar("cifar10", "train", tmp_path)
    np.testing.assert_array_equal(test.images, images.transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(test.labels, [3, 2, 1, 0])
    assert np.abs(train.images.astype(int) - test.images).max() <= 2

    (tmp_path / "cifar10_test.zip").write_bytes(b"not a zip")
    with pytest.raises(UserError, match=r"cifar10_test.*damaged"):
        load_cifar("cifar10", "test", tmp_path)


def test_default_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_folder(tmp_path / "elsewhere", "cifar10", "binary")
    (tmp_path / "checkout").mkdir()
    monkeypatch.chdir(tmp_path / "checkout")
    monkeypatch.delenv("ENCMAC_DATA", raising=False)
    with pytest.raises(UserError, match=r"no cifar10 data in data, ../shared/data; .*DATA=.*python -m models.datasets"):
        load_cifar("cifar10", "test")
    assert not have_cifar("cifar10")
    monkeypatch.setenv("ENCMAC_DATA", "../elsewhere")
    assert len(load_cifar("cifar10", "test").images) == COUNT


class TestDamage:
    def test_missing_folder(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match=r"no cifar100 data in .*nowhere") as error:
            load_cifar("cifar100", "test", tmp_path / "nowhere")
        assert_one_line(error)

    def test_unknown_name(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match="unknown data set 'mnist'; known: cifar10, cifar100"):
            load_cifar("mnist", "test", tmp_path)
        with pytest.raises(UserError, match="unknown data set 'mnist'"):
            download_cifar("mnist", tmp_path)

    def test_missing_batch(self, tmp_path: Path) -> None:
        folder = make_folder(tmp_path, "cifar10", "python")
        (folder / "data_batch_3").unlink()
        assert len(load_cifar("cifar10", "test", tmp_path).images) == COUNT
        with pytest.raises(UserError, match="data_batch_3.*incomplete"):
            load_cifar("cifar10", "train", tmp_path)

    def test_wrong_checksum(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        archive = make_archive(tmp_path, "cifar10", "python", monkeypatch)
        with archive.open("ab") as stream:
            stream.write(b"x")
        with pytest.raises(UserError, match="MD5 .* expected .*delete it") as error:
            load_cifar("cifar10", "test", tmp_path)
        assert_one_line(error)

    @pytest.mark.parametrize("content", [b"", b"no archive"])
    def test_no_archive(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
        archive = tmp_path / "cifar-10-binary.tar.gz"
        archive.write_bytes(content)
        expect_md5(archive, "cifar10", monkeypatch)
        with pytest.raises(UserError, match="damaged"):
            load_cifar("cifar10", "test", tmp_path)

    def test_archive_without_the_batch(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        archive = tmp_path / "cifar-10-binary.tar.gz"
        with tarfile.open(archive, "w:gz") as tar:
            tar.add(__file__, "cifar-10-batches-bin/readme.html")
        expect_md5(archive, "cifar10", monkeypatch)
        with pytest.raises(UserError, match="test_batch"):
            load_cifar("cifar10", "test", tmp_path)

    @pytest.mark.parametrize("left", [0, 3072, 3073 * COUNT - 1])
    def test_truncated_binary(self, tmp_path: Path, left: int) -> None:
        file = make_folder(tmp_path, "cifar10", "binary") / "test_batch.bin"
        file.write_bytes(file.read_bytes()[:left])
        with pytest.raises(UserError, match=f"{left} bytes is no multiple of 3073"):
            load_cifar("cifar10", "test", tmp_path)

    @pytest.mark.parametrize("left", [0, 1, 100, -1])
    def test_truncated_pickle(self, tmp_path: Path, left: int) -> None:
        file = make_folder(tmp_path, "cifar10", "python") / "test_batch"
        file.write_bytes(file.read_bytes()[:left])
        with pytest.raises(UserError, match="not an official CIFAR python batch"):
            load_cifar("cifar10", "test", tmp_path)

    @pytest.mark.parametrize(
        "content", [[], np.zeros(3), None, {b"data": 1}, {b"data": np.zeros(3072), b"labels": None}]
    )
    def test_other_pickle(self, tmp_path: Path, content: object) -> None:
        file = make_folder(tmp_path, "cifar10", "python") / "test_batch"
        file.write_bytes(pickle.dumps(content, protocol=4))
        with pytest.raises(UserError, match="not an official CIFAR python batch"):
            load_cifar("cifar10", "test", tmp_path)

    def test_malicious_pickle_is_not_run(self, tmp_path: Path) -> None:
        class Attack:
            def __reduce__(self) -> tuple:
                return os.mkdir, (str(tmp_path / "attacked"),)

        file = make_folder(tmp_path, "cifar10", "python") / "test_batch"
        file.write_bytes(pickle.dumps(Attack()))
        with pytest.raises(UserError, match=r"posix.mkdir has no place in a CIFAR batch"):
            load_cifar("cifar10", "test", tmp_path)
        assert not (tmp_path / "attacked").exists()

    def test_label_out_of_range(self, tmp_path: Path) -> None:
        file = make_folder(tmp_path, "cifar10", "binary") / "test_batch.bin"
        file.write_bytes(bytes([10]) + bytes(3072))
        with pytest.raises(UserError, match=r"labels 10..10 outside 0..9"):
            load_cifar("cifar10", "test", tmp_path)

    def test_label_count(self, tmp_path: Path) -> None:
        file = make_folder(tmp_path, "cifar10", "python") / "test_batch"
        images, labels = batch(0, 10)
        file.write_bytes(python_blob(images, labels[1:], "labels"))
        with pytest.raises(UserError, match=f"{COUNT} images but {COUNT - 1} labels"):
            load_cifar("cifar10", "test", tmp_path)


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(params=["file", "http"])
def origin(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Base address of a place that serves a synthetic cifar10 python archive."""
    served = tmp_path / "served"
    make_archive(served, "cifar10", "python", monkeypatch)
    if request.param == "file":
        yield served.as_uri()
        return
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with HTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(served))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


class TestDownload:
    def test_success_and_again(self, tmp_path: Path, origin: str) -> None:
        steps = []
        archive = download_cifar("cifar10", tmp_path / "out", origin, progress=lambda *step: steps.append(step))
        assert archive == tmp_path / "out" / "cifar-10-python.tar.gz"
        assert steps[-1] == (archive.stat().st_size, archive.stat().st_size)
        assert_loads("cifar10", tmp_path / "out")
        assert download_cifar("cifar10", tmp_path / "out", "http://127.0.0.1:9/unused/") == archive

    def test_wrong_checksum_leaves_nothing(self, tmp_path: Path, origin: str) -> None:
        with pytest.raises(UserError, match=f"MD5 .* expected {'0' * 32}") as error:
            download_cifar("cifar10", tmp_path / "out", origin, md5="0" * 32)
        assert_one_line(error)
        assert list((tmp_path / "out").iterdir()) == []

    def test_not_there(self, tmp_path: Path, origin: str) -> None:
        with pytest.raises(UserError, match="failed .*(404|No such file).* get it by hand") as error:
            download_cifar("cifar100", tmp_path / "out", origin)
        assert_one_line(error)
        assert list((tmp_path / "out").iterdir()) == []

    def test_out_is_a_file(self, tmp_path: Path, origin: str) -> None:
        (tmp_path / "out").write_text("in the way")
        with pytest.raises(UserError, match="get it by hand"):
            download_cifar("cifar10", tmp_path / "out", origin)


def test_address_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="unknown url type"):
        download_cifar("cifar10", tmp_path, "nonsense")


def test_command_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "models.datasets", "cifar10", "--out", str(tmp_path), "--url", tmp_path.as_uri()]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("encmac: error: download of file://") and done.stderr.count("\n") == 1

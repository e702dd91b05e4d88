"""Networks that are broken or hostile: refused by name, in a process of its own, and nothing of
them stored.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import pictures
from legibly import errors, records
from legibly.index.sql import open_index
from legibly.packs import check, network, onnx_graph, pack, registry
from legibly.pipeline import Service
from legibly.reindex import reindex
from legibly.store import open_store, record_files
from legibly.vision.reading import Reader
from packs import networks


def nan_for_red() -> onnx.ModelProto:
    """Fine for everything but pictures whose red is the strongest: 0/0 there."""
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["m"], axes=[2, 3], keepdims=0),
        helper.make_node("ReduceMax", ["m"], ["top"], axes=[1], keepdims=1),
        helper.make_node("Slice", ["m", "zero", "one", "axis"], ["red"]),
        helper.make_node("Sub", ["top", "red"], ["gap"]),
        helper.make_node("Sub", ["top", "threshold"], ["bright"]),
        helper.make_node("Relu", ["bright"], ["lit"]),
        helper.make_node("Greater", ["lit", "nothing"], ["is_bright"]),
        helper.make_node("Equal", ["gap", "nothing"], ["is_red"]),
        helper.make_node("And", ["is_bright", "is_red"], ["bad"]),
        helper.make_node("Where", ["bad", "nan", "m"], ["y"]),
    ]
    weights: dict[str, Any] = {
        "zero": np.array([0], np.int64),
        "one": np.array([1], np.int64),
        "axis": np.array([1], np.int64),
        "threshold": np.array(0.9, np.float32),
        "nothing": np.array(0.0, np.float32),
        "nan": np.array(np.nan, np.float32),
    }
    return networks.model(nodes, shape=["n", 3, 8, 8], outputs=["n", 3], weights=weights)


def plain(colour: tuple[int, int, int]) -> bytes:
    from PIL import Image

    return pictures.encoded(Image.new("RGB", (40, 40), colour))


def test_nothing_of_a_nan_reaches_the_store(tmp_path: Path) -> None:
    """A picture for which the model answers NaN fails with its reason; others go on; no record has
    NaN.
    """
    folder = networks.write_pack(tmp_path / "pack", nan_for_red())
    reader = Reader(pack.open_pack(folder))
    store = open_store(f"file://{tmp_path}/objects", environ={})
    index = open_index("sqlite:///:memory:")
    service = Service(store=store, index=index, reader=reader, max_bytes=10**6, max_pixels=10**6)
    image = service.receive(plain((255, 0, 0)))
    with pytest.raises(errors.Unusable, match="NaN or infinity"):
        service.classify(image)
    assert service.classify(service.receive(plain((0, 255, 0)))).state == "read"
    assert reader.pack.problem() is None
    assert not any(b"NaN" in store.read(stat.key) for stat in store.list("records/"))


def test_old_records_with_nan_stop_neither_reindex_nor_pages(tmp_path: Path) -> None:
    """A reading of version 0.1 with NaN counts as confidence 0, and is JSON again."""
    store = open_store(f"file://{tmp_path}/objects", environ={})
    index = open_index("sqlite:///:memory:")
    reader = Reader(pack.open_pack(registry.find("digits")))
    service = Service(store=store, index=index, reader=reader, max_bytes=10**6, max_pixels=10**6)
    service.classify(service.receive(pictures.png()))
    (key,) = [stat.key for stat in store.list("records/readings/")]
    data = json.loads(store.read(key))
    data["confidence"] = data["items"][0]["confidence"] = float("nan")
    data["items"][0]["probabilities"]["7"] = float("inf")
    data["items"][0]["legibility"] = float("nan")
    store.replace(key, json.dumps(data).encode() + b"\n")
    reindex(store, index)
    (image,) = index.page(_everything(), limit=5)
    assert image.reading
    assert image.reading.confidence == 0
    json.dumps(image.to_json(), allow_nan=False)


def _everything() -> Any:
    from legibly.index.port import Filter

    return Filter()


def test_a_record_with_nan_cannot_be_written() -> None:
    """What is no JSON does not become a line of a record file."""

    with pytest.raises(ValueError, match="JSON compliant"):
        record_files.line({"confidence": float("nan")})


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (np.zeros((1, 3), np.float32), "answers (1, 3) where the card promises (2, 3)"),
        (np.zeros((2, 12), np.float32), "answers (2, 12)"),
        (np.array([["a", "b", "c"]] * 2), "instead of numbers"),
    ],
)
def test_answers_of_another_shape_are_named(answer: Any, message: str, tmp_path: Path) -> None:
    """Short answers, wrong lengths and text: a named error that says so in `problem`, until it is
    well again.
    """
    sound = pack.open_pack(networks.write_pack(tmp_path, networks.colour_model()))
    answers: list[Any] = [answer, np.zeros((2, 3), np.float32)]
    broken = pack.Pack(
        card=sound.card,
        model=records.Model("colours", "0"),
        run=lambda _values: network.as_logits(answers.pop(0), sound.card),
    )
    with pytest.raises(errors.Unavailable) as caught:
        broken.logits(broken.blank(2))
    assert message in str(caught.value)
    assert broken.problem()
    broken.logits(broken.blank(2))
    assert broken.problem() is None


def with_external(location: str) -> onnx.ModelProto:
    """`colour_model` whose factor is in a file of its own."""
    network_ = networks.colour_model()
    tensor = network_.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", "0"), ("length", "4")):
        entry = tensor.external_data.add()
        entry.key = key
        entry.value = value
    return network_


@pytest.mark.parametrize(
    "location", ["../weights.bin", "/etc/hostname", "a/b.bin", "..\\w.bin", "C:\\w.bin", ".hidden"]
)
def test_external_data_outside_the_folder_is_refused(tmp_path: Path, location: str) -> None:
    """Absolute paths, parents, subfolders and hidden files: refused before anything is loaded."""
    folder = networks.write_pack(tmp_path, with_external(location))
    with pytest.raises(errors.Invalid, match="loads a file outside its folder"):
        pack.open_pack(folder)


def test_external_data_belongs_to_the_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights beside the network are named in the card, hashed, and never taken from the working
    folder.
    """
    import hashlib

    network_ = with_external("weights.bin")
    content = network_.SerializeToString()
    folders = []
    for number in (1.0, 2.0):
        weights = np.array(number, np.float32).tobytes()
        files = {
            "model.onnx": hashlib.sha256(content).hexdigest(),
            "weights.bin": hashlib.sha256(weights).hexdigest(),
        }
        folder = networks.write_pack(tmp_path / str(number), content, files=files)
        (folder / "weights.bin").write_bytes(weights)
        folders.append(folder)
    monkeypatch.chdir(folders[1])
    first, second = (pack.open_pack(folder) for folder in folders)
    values = first.prepare(np.full((8, 8, 3), 255, np.uint8))
    assert first.logits(values)[0, 0] == pytest.approx(1.0)
    assert second.logits(values)[0, 0] == pytest.approx(2.0)
    assert first.model.version != second.model.version
    assert pack.folder_version(folders[0]) == first.model.version
    (folders[0] / "weights.bin").write_bytes(np.array(9, np.float32).tobytes())
    with pytest.raises(errors.Invalid, match="SHA-256 differs"):
        pack.open_pack(folders[0])
    unnamed = networks.write_pack(tmp_path / "unnamed", content)
    shutil.copy(folders[1] / "weights.bin", unnamed)
    with pytest.raises(errors.Invalid, match="does not name it"):
        pack.open_pack(unnamed)


def test_symbolic_links_are_refused(tmp_path: Path) -> None:
    """A network that is a link could change without its folder."""
    folder = networks.write_pack(tmp_path / "pack", networks.colour_model())
    (folder / "model.onnx").rename(tmp_path / "elsewhere.onnx")
    (folder / "model.onnx").symlink_to(tmp_path / "elsewhere.onnx")
    with pytest.raises(errors.Invalid, match="symbolic link"):
        pack.open_pack(folder)


def test_custom_operators_are_refused(tmp_path: Path) -> None:
    """An operator of a foreign domain needs a library, which runs whatever it likes."""
    node = helper.make_node("Evil", ["x"], ["y"], domain="com.example")
    bad = networks.model([node], shape=["n", 3, 8, 8], outputs=["n", 3], domains=("com.example",))
    with pytest.raises(errors.Invalid, match="custom operators: com"):
        pack.open_pack(networks.write_pack(tmp_path, bad))


def endless() -> onnx.ModelProto:
    """A loop whose condition is always true."""
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["again"], ["again_out"]),
            helper.make_node("Add", ["v", "v"], ["v_out"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("again", TensorProto.BOOL, []),
            helper.make_tensor_value_info("v", TensorProto.FLOAT, ["n", 3]),
        ],
        [
            helper.make_tensor_value_info("again_out", TensorProto.BOOL, []),
            helper.make_tensor_value_info("v_out", TensorProto.FLOAT, ["n", 3]),
        ],
    )
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["m"], axes=[2, 3], keepdims=0),
        helper.make_node("Loop", ["", "always", "m"], ["y"], body=body),
    ]
    weights = {"always": np.array(True)}
    return networks.model(nodes, shape=["n", 3, 8, 8], outputs=["n", 3], weights=weights)


def test_a_loop_without_end_ends_in_the_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`check` stops it after its time; a server that opens it stops it too."""
    folder = networks.write_pack(tmp_path, endless())
    report = check.run(folder, seconds=4)
    assert not report.is_sound
    assert "did not end within 4 s" in report.failures[0].message
    monkeypatch.setattr(network, "RUN_SECONDS", 0.3)
    with pytest.raises(errors.Invalid, match="ran longer than"):
        pack.open_pack(folder)


def test_absurd_sizes_end_in_the_check(tmp_path: Path) -> None:
    """A network of some hundred bytes that asks for terabytes is a finding, not the end of this
    process.
    """
    nodes = [
        helper.make_node("ConstantOfShape", ["huge"], ["big"]),
        helper.make_node("ReduceMean", ["big"], ["s"], keepdims=0),
        helper.make_node("ReduceMean", ["x"], ["m"], axes=[2, 3], keepdims=0),
        helper.make_node("Add", ["m", "s"], ["y"]),
    ]
    weights = {"huge": np.array([300_000, 300_000], np.int64)}
    bad = networks.model(nodes, shape=["n", 3, 8, 8], outputs=["n", 3], weights=weights)
    report = check.run(networks.write_pack(tmp_path, bad), memory_bytes=3_000_000_000)
    assert not report.is_sound


def test_rubbish_is_no_network() -> None:
    """Cut, empty and random bytes, and graphs nested without end: one line, never a crash."""
    content = networks.colour_model().SerializeToString()
    random = np.random.default_rng(0)
    samples = [b"", b"rubbish", content[:50], random.bytes(5000)]
    samples += [random.bytes(20) + content for _ in range(20)]
    for sample in samples:
        with pytest.raises(errors.Invalid):
            onnx_graph.parse(sample)


def test_the_graph_is_read_as_onnx_reads_it() -> None:
    """Inputs, outputs, operators and weights as the onnx package names them."""
    graph = onnx_graph.parse(networks.colour_model(layout="NHWC").SerializeToString())
    assert graph.inputs == [onnx_graph.TensorInfo("x", "float32", (None, 8, 8, 3))]
    assert graph.outputs == [onnx_graph.TensorInfo("y", "float32", (None, 3))]
    assert {operator for _, operator in graph.operators} == {"Cast", "ReduceMean", "Mul"}
    assert graph.parameters == 1
    assert numpy_helper.to_array(networks.colour_model().graph.initializer[0]) == 10


@pytest.mark.parametrize(
    "name", ["a\nb", "\x1b[31mred", "..", "a/b", "a\\b", ".x", " ", "x" * 101, ""]
)
def test_names_of_packs_are_plain(tmp_path: Path, name: str) -> None:
    """Control characters, slashes and hidden names are refused, and shown escaped."""
    with pytest.raises(errors.Invalid, match="cannot name a pack") as caught:
        registry.check_name(name)
    assert str(caught.value).isprintable()


def test_a_damaged_pack_is_listed_beside_the_others(tmp_path: Path) -> None:
    """A folder with a torn card is named; the others can be found."""
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "card.json").write_text("{")
    (tmp_path / "bad\nname").mkdir()
    (tmp_path / "bad\nname" / "card.json").write_text("{}")
    networks.write_pack(tmp_path / "well", networks.colour_model())
    assert [entry.name for entry in registry.entries(added=tmp_path)] == ["digits", "torn", "well"]
    assert registry.find("well", added=tmp_path) == tmp_path / "well"


def test_the_runtime_is_new_enough() -> None:
    """The lower bound is a version that takes external data from memory and stops at a time-out."""
    import tomllib

    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    (bound,) = [
        line for line in project["project"]["dependencies"] if line.startswith("onnxruntime")
    ]
    lowest = bound.partition(">=")[2].partition(",")[0]
    assert tuple(map(int, lowest.split("."))) >= (1, 23)

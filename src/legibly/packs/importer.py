"""Makes a pack from any image classifier in ONNX: by the graph, the files beside it, or trial runs.

All other missing facts are requested in one message.
"""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np

from legibly import errors, records
from legibly.packs import card as cards
from legibly.packs import check, configs, network, onnx_graph
from legibly.packs.card import Card, Input, Output, Prepare
from legibly.packs.card_parts import Dtype

_SAMPLES = 4
_DTYPES = ("float32", "float16", "uint8")
_KERAS = "Keras: pip install tf2onnx; python -m tf2onnx.convert --keras MODEL --output model.onnx"
_SCIKIT = "scikit-learn: pip install skl2onnx; to_onnx(model, X[:1])"
_PYTORCH = "PyTorch: torch.onnx.export(model.eval(), example, 'model.onnx', dynamo=True)"
_OTHER_FORMATS = {
    **dict.fromkeys((".keras", ".h5"), _KERAS),
    **dict.fromkeys((".pkl", ".joblib"), _SCIKIT),
    **dict.fromkeys((".pt", ".pth"), _PYTORCH),
    ".safetensors": "Hugging Face: pip install optimum; optimum-cli export onnx --model FOLDER OUT",
}


@dataclass(frozen=True, slots=True)
class Hints:
    """The facts given by the caller; None if they must be determined."""

    name: str | None = None
    classes: tuple[str, ...] | None = None
    like: str | None = None
    size: tuple[int, int] | None = None
    prepare: Mapping[str, Any] = field(default_factory=dict)
    output: Literal["logits", "probabilities"] | None = None


@dataclass(frozen=True, slots=True)
class Imported:
    """A pack made in `folder`, and a description of its facts with their sources."""

    folder: Path
    facts: tuple[str, ...]


def import_pack(source: Path, target: Path, hints: Hints) -> Imported:
    """Make a pack from a folder or an ONNX file in the new folder `target`.

    Raises errors.Invalid that names all missing facts and their options.
    """
    if (source / cards.CARD).is_file() and not source.is_file():
        return Imported(source, ())  # also without a network, which may run on a server
    model = locate_model(source)
    if source.is_dir() and (model.parent / cards.CARD).is_file():
        return Imported(model.parent, ())
    content = model.read_bytes()
    graph = network.examine(content, where=str(model))
    files = {cards.MODEL: content}
    for name in sorted(graph.external_files):
        files[name] = _external(model.parent / name)
    probe = _Probe(
        graph, files, model, hints, _beside(model.parent if source.is_file() else source)
    )
    card = probe.card(hints.name or _plain_name(source))
    target.mkdir(parents=True)
    for name, data in files.items():
        (target / name).write_bytes(data)
    cards.write_card(target, card)
    return Imported(target, tuple(probe.facts))


def locate_model(source: Path) -> Path:
    """The ONNX file of a source. Raises errors.Invalid with how to export other formats."""
    if source.is_file():
        advice = _OTHER_FORMATS.get(source.suffix.lower())
        if advice:
            message = f"{source.suffix} files run code when they are opened"
            raise errors.Invalid(message, where=str(source), remedy=f"Export it first. {advice}")
        return source
    for path in (source / cards.MODEL, source / "onnx" / cards.MODEL):
        if path.is_file():
            return path
    models = sorted(source.rglob("*.onnx"))
    if len(models) == 1:
        return models[0]
    others = [path for path in sorted(source.glob("*")) if path.suffix.lower() in _OTHER_FORMATS]
    if not models and others:
        return locate_model(others[0])
    if not models:
        raise errors.Invalid("has no ONNX file", where=str(source))
    names = ", ".join(str(path.relative_to(source)) for path in models[:5])
    raise errors.Invalid(f"has several ONNX files: {names}", where=str(source))


def _external(path: Path) -> bytes:
    if path.is_symlink() or not path.is_file():
        raise errors.Invalid("the network's weights are missing here", where=str(path))
    return path.read_bytes()


def _plain_name(source: Path) -> str:
    name = source.stem if source.is_file() else source.name
    return "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in name)[:100]


def _beside(folder: Path) -> dict[str, dict[str, Any]]:
    """The configuration files beside a network."""
    names = ("config.json", "preprocessor_config.json")
    return {name: configs.read_json(folder / name) for name in names if (folder / name).is_file()}


class _Probe:
    """Determines the facts of a network, and collects the missing ones."""

    def __init__(
        self,
        graph: onnx_graph.Graph,
        files: dict[str, bytes],
        model: Path,
        hints: Hints,
        beside: dict[str, dict[str, Any]],
    ) -> None:
        self._graph = graph
        self._files = files
        self._model = model
        self._hints = hints
        self._beside = beside
        self.facts: list[str] = []
        self._missing: list[str] = []
        self._class_names: list[str] = []

    def card(self, name: str) -> Card:
        input_ = self._input()
        prepare, shape = self._prepare(input_)
        if input_.height == 0 and shape is not None:
            input_ = replace(input_, height=shape[0], width=shape[1])
        if input_.height == 0:
            self._missing.append("the size of its pictures (--size 224x224)")
        output = Output()
        count = 0
        if input_.height:
            output, count = self._output(input_, prepare or Prepare())
        classes = self._classes(count)
        if self._missing or prepare is None:
            message = f"the file does not say {'; '.join(self._missing)}"
            raise errors.Invalid(message, where=str(self._model))
        digests = {key: hashlib.sha256(data).hexdigest() for key, data in self._files.items()}
        return Card(
            name=name,
            classes=classes,
            layout="whole",
            input=input_,
            thresholds=cards.Thresholds(read=0.9),
            sha256=digests[cards.MODEL],
            source=str(self._model.name),
            created=records.now().date().isoformat(),
            format=2,
            prepare=prepare,
            output=output,
            reject_output=False,
            files=digests,
        )

    def _input(self) -> Input:
        """Layout, size, type and batch from the graph; a size of 0 is unknown."""
        if len(self._graph.inputs) != 1:
            names = ", ".join(entry.name for entry in self._graph.inputs)
            message = f"takes {len(self._graph.inputs)} inputs ({names}); a classifier takes one"
            raise errors.Invalid(message, where=str(self._model))
        entry = self._graph.inputs[0]
        if entry.dtype not in _DTYPES or entry.shape is None or len(entry.shape) not in (2, 4):
            message = f"takes {entry.dtype} {entry.shape}, which is no picture"
            raise errors.Invalid(message, where=str(self._model))
        layout, channels, height, width = self._axes(entry.shape)
        if self._hints.size:
            height, width = self._hints.size
        self._note(
            "input", f"{layout} {height or '?'}×{width or '?'}, {channels} channels, {entry.dtype}"
        )
        return Input(
            height=height,
            width=width,
            channels=channels,
            layout=layout,
            dtype=cast("Dtype", entry.dtype),
            batch=entry.shape[0],
            name=entry.name,
        )

    def _axes(
        self, shape: tuple[onnx_graph.Dimension, ...]
    ) -> tuple[Literal["NCHW", "NHWC", "flat"], int, int, int]:
        if len(shape) == 2:
            return ("flat", *self._flat(shape[1] or 0))
        _, first, second, third = shape
        if third in (1, 3) and first not in (1, 3):
            return "NHWC", third, first or 0, second or 0
        if first in (1, 3):
            return "NCHW", first, second or 0, third or 0
        message = f"takes {shape}: neither 1 nor 3 channels, which is no picture"
        raise errors.Invalid(message, where=str(self._model))

    def _flat(self, values: int) -> tuple[int, int, int]:
        for channels in (1, 3):
            side = math.isqrt(values // channels)
            if values and side * side * channels == values:
                return channels, side, side
        if values and self._hints.size:
            return values // (self._hints.size[0] * self._hints.size[1]), *self._hints.size
        return 1, 0, 0

    def _prepare(self, input_: Input) -> tuple[Prepare | None, tuple[int, int] | None]:
        shape = (input_.height, input_.width) if input_.height else None
        origin = "--prepare"
        known: tuple[Prepare, tuple[int, int]] | None = None
        if self._hints.like:
            known = configs.prepare_like(self._hints.like, shape=shape or (224, 224))
            origin = f"--like {self._hints.like}"
        elif "preprocessor_config.json" in self._beside:
            known = configs.from_hugging_face(self._beside["preprocessor_config.json"])
            origin = "preprocessor_config.json"
        elif "pretrained_cfg" in self._beside.get("config.json", {}):
            known = configs.from_timm(self._beside["config.json"]["pretrained_cfg"])
            origin = "config.json"
        elif input_.dtype == "uint8":
            known = (configs.HABITS["bytes"], shape or (224, 224))
            origin = "its type"
        elif self._hints.prepare:
            known = (Prepare(), shape or (224, 224))
        if known is None:
            self._missing.append(
                "how its pictures are prepared (--like imagenet for ImageNet's mean and std, or the"
                " range of its pixels: zero-one, minus-one-one, bytes; or timm:NAME, hf:FOLDER,"
                " --prepare FILE.json)"
            )
            return None, shape
        steps, size = known
        values = {"colour": "grey"} if input_.channels == 1 else {}
        steps = _checked(Prepare.from_json({**steps.to_json(), **values, **self._hints.prepare}))
        if input_.channels == 1 and len(steps.mean) == 3:
            steps = replace(steps, mean=steps.mean[:1], std=steps.std[:1])
        height, width = steps.size or size
        mean = " ".join(f"{value:g}" for value in steps.mean)
        self._note("prepare", f"{steps.resize} {height}×{width}, mean {mean}", origin)
        return steps, size

    def _output(self, input_: Input, prepare: Prepare) -> tuple[Output, int]:
        """The output and its number of classes, by running the network on noise."""
        session = network.open_session(self._files, where=str(self._model))
        draft = Card(
            name="draft",
            classes=("draft",),
            layout="whole",
            input=input_,
            thresholds=cards.Thresholds(0.9),
            sha256="",
            format=2,
            prepare=prepare,
        )
        count = input_.batch or _SAMPLES
        random = np.random.default_rng(0)
        size = (count, input_.channels, input_.height, input_.width)
        values = random.random(size).astype(np.float32)
        try:
            answers = session.run(None, {str(input_.name): network.to_tensor(values, draft)})
        except Exception as error:  # ONNX Runtime's errors have no other common base class
            message = f"does not run on {size}: {network.first_line(error)}"
            remedy = "Say the size of its pictures: --size HEIGHTxWIDTH."
            raise errors.Invalid(message, where=str(self._model), remedy=remedy) from error
        names = [entry.name for entry in session.get_outputs()]
        return self._choose(dict(zip(names, answers, strict=True)), count)

    def _choose(self, answers: Mapping[str, Any], count: int) -> tuple[Output, int]:
        arrays = {
            name: network.plain_scores(values)
            for name, values in answers.items()
            if isinstance(values, np.ndarray | list)
        }
        rows = {
            name: values.reshape(count, -1)
            for name, values in arrays.items()
            if values.dtype.kind == "f" and values.size >= 2 * count and values.size % count == 0
        }
        if not rows:
            raise errors.Invalid("answers no class scores", where=str(self._model))
        likely = [name for name in rows if "prob" in name.lower() or "logit" in name.lower()]
        name = (likely or list(rows))[0]
        if isinstance(answers[name], list):  # of scikit-learn: a score by class for each item
            self._class_names = [str(label) for label in sorted(answers[name][0])]
        shares = check.looks_like_probabilities(rows[name].astype(np.float32))
        kind = self._hints.output or ("probabilities" if shares else "logits")
        classes = rows[name].shape[1]
        self._note("output", f"{name}, {classes} {kind}", "a trial run")
        return Output(kind=kind, name=name), classes

    def _classes(self, count: int) -> tuple[str, ...]:
        labels = list(self._hints.classes or ())
        origin = "--classes"
        if not labels:
            labels = configs.labels_of(self._beside.get("config.json", {})) or []
            origin = "config.json"
        if not labels:
            labels = self._class_names
            origin = "the graph"
        if not labels:
            number = f"{count} " if count else ""
            self._missing.append(
                f"the names of its {number}classes (--classes FILE, one name a line)"
            )
            return ()
        if count and len(labels) != count:
            message = f"has {count} outputs, but there are {len(labels)} classes"
            raise errors.Invalid(message, where=str(self._model), remedy="Correct --classes FILE.")
        more = " …" if len(labels) > 3 else ""
        self._note("classes", f"{len(labels)}: {', '.join(labels[:3])}{more}", origin)
        return _unique(labels)

    def _note(self, fact: str, value: str, origin: str = "the graph") -> None:
        self.facts.append(f"{fact:<9}{value} ({origin})")


def _checked(prepare: Prepare) -> Prepare:
    """Raises errors.Invalid for a mean outside the range of the pixels, as of 104 for 0 … 1."""
    highest = 255 * prepare.scale
    if max(map(abs, prepare.mean)) > max(1.0, highest):
        message = "`prepare.mean` {mean} lies outside the range of the pixels, 0 to {highest:g}"
        remedy = "Set `scale` too: 1 keeps pixels from 0 to 255."
        raise errors.Invalid(message, remedy=remedy, mean=prepare.mean, highest=highest)
    return prepare


def _unique(labels: list[str]) -> tuple[str, ...]:
    """Make texts distinct: ImageNet has two cranes and two maillots."""
    counts: dict[str, int] = {}
    result = []
    for label in labels:
        counts[label] = counts.get(label, 0) + 1
        result.append(label if counts[label] == 1 else f"{label} ({counts[label]})")
    return tuple(result)

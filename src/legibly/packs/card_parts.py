"""The parts of a card: input, preprocessing, output, remote server, calibration figures."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

from legibly import records

TensorLayout = Literal["NCHW", "NHWC", "flat"]
Dtype = Literal["float32", "float16", "uint8"]
OutputKind = Literal["logits", "probabilities"]


@dataclass(frozen=True, slots=True)
class Input:
    """The network's input; crops of ink range from `low` (paper) to `high` (ink).

    `batch` is the required number of items per run, None for any number. `name` None means the
    network's first input.
    """

    height: int
    width: int
    channels: int = 1
    low: float = 0.0
    high: float = 1.0
    layout: TensorLayout = "NCHW"
    dtype: Dtype = "float32"
    batch: int | None = None
    name: str | None = None

    def to_json(self, *, format_: int = 1) -> records.Json:
        size = {"height": self.height, "width": self.width, "channels": self.channels}
        ends = {"range": [self.low, self.high]}
        if format_ == 1:
            return {**size, **ends}
        kind = {"layout": self.layout, "dtype": self.dtype, "batch": self.batch}
        return {"name": self.name, **size, **kind, **ends}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        low, high = data.get("range", (0.0, 1.0))
        return cls(
            height=int(data["height"]),
            width=int(data["width"]),
            channels=int(data.get("channels", 1)),
            low=float(low),
            high=float(high),
            layout=data.get("layout", "NCHW"),
            dtype=data.get("dtype", "float32"),
            batch=data.get("batch"),
            name=data.get("name"),
        )


@dataclass(frozen=True, slots=True)
class Prepare:
    """Preprocessing of a picture: resize, crop at the centre, colour, scale, normalise.

    The picture is resized to `size` (height, width), and cropped to the input's size. Values are
    `(pixel · scale − mean) / std`, with one `mean` and `std`, or one per channel.
    """

    resize: Literal["shortest_edge", "longest_edge", "exact", "none"] = "shortest_edge"
    size: tuple[int, int] | None = None
    interpolation: str = "bilinear"
    colour: Literal["rgb", "bgr", "grey"] = "rgb"
    scale: float = 1 / 255
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    fill: tuple[int, int, int] = (0, 0, 0)

    def to_json(self) -> records.Json:
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
            if name != "size" or value
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in data.items()
        }
        return cls(**values)


@dataclass(frozen=True, slots=True)
class Output:
    """The network's output: logits or probabilities; `name` None means its first output."""

    kind: OutputKind = "logits"
    name: str | None = None

    def to_json(self) -> records.Json:
        return {"name": self.name, "kind": self.kind}


@dataclass(frozen=True, slots=True)
class Remote:
    """The model server of the Open Inference Protocol that runs the network."""

    url: str
    binary: bool = True
    timeout_seconds: float = 20.0

    def to_json(self) -> records.Json:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Digitness:
    """A logistic model of "this is one of the classes": `sigmoid(bias + margin · m + energy · e)`.

    `e` = logsumexp(class logits). `m` = `e` − reject logit if the network has one, else the
    highest class logit − logsumexp(the others).
    """

    bias: float = 0.0
    margin: float = 1.0
    energy: float = 0.0

    def to_json(self) -> records.Json:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(**{name: float(data[name]) for name in ("bias", "margin", "energy")})


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The least confidence for the verdict `read`, and the least digitness of an accepted item."""

    read: float
    digit: float = 0.0

    def to_json(self) -> records.Json:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(read=float(data["read"]), digit=float(data.get("digit", 0.0)))

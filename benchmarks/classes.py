"""A pack of 100 classes with a network of MobileNetV2's size, through `legibly classify`.

    python benchmarks/classes.py [--pictures 400]

The network has MobileNetV2's layers for 224 x 224 pictures and random weights: its answers mean
nothing, its time is that of a trained one. The photographs are JPEG files of 640 x 480. Printed are
pictures a second by the clock and by processor time; on a busy machine only the latter counts.
"""

import argparse
import hashlib
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

CLASSES = 100
SIDE = 224
# Of each stage: expansion, channels, blocks, stride of the first (table 2 of arXiv:1801.04381).
STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


class Network:
    """Layers one after the other; `name` is the last one's output."""

    def __init__(self):
        self.nodes = []
        self.weights = []
        self.random = np.random.default_rng(0)
        self.name = "x"

    def weight(self, *shape):
        """Random weights; returns their name."""
        values = self.random.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape).astype(np.float32)
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(values, name))
        return name

    def add(self, kind, *inputs, **attributes):
        """One node after the last one."""
        output = f"n{len(self.nodes)}"
        node = helper.make_node(kind, [self.name, *inputs], [output], **attributes)
        self.nodes.append(node)
        self.name = output

    def convolution(self, before, after, *, size=1, stride=1, group=1, bounded=True):
        """A convolution, batch normalization folded into it, and ReLU6."""
        weight = self.weight(after, before // group, size, size)
        pads = [size // 2] * 4
        strides = [stride, stride]
        self.add("Conv", weight, self.bias(after), pads=pads, strides=strides, group=group)
        if bounded:
            self.add("Clip", self.scalar(0.0), self.scalar(6.0))

    def bias(self, count):
        """Zeros; returns their name."""
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.zeros(count, np.float32), name))
        return name

    def scalar(self, value):
        """A constant; returns its name."""
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.array(value, np.float32), name))
        return name

    def block(self, before, after, *, expansion, stride):
        """An inverted residual."""
        begin = self.name
        wide = before * expansion
        if expansion > 1:
            self.convolution(before, wide)
        self.convolution(wide, wide, size=3, stride=stride, group=wide)
        self.convolution(wide, after, bounded=False)
        if stride == 1 and before == after:
            self.add("Add", begin)


def mobilenet():
    """The network as ONNX, with logits of `CLASSES` classes."""
    network = Network()
    network.convolution(3, 32, size=3, stride=2)
    before = 32
    for expansion, channels, blocks, stride in STAGES:
        for number in range(blocks):
            step = 1 if number else stride
            network.block(before, channels, expansion=expansion, stride=step)
            before = channels
    network.convolution(before, 1280)
    network.add("GlobalAveragePool")
    network.add("Flatten")
    network.add("Gemm", network.weight(1280, CLASSES), network.bias(CLASSES))
    network.nodes.append(helper.make_node("Identity", [network.name], ["y"]))
    graph = helper.make_graph(
        network.nodes,
        "mobilenet",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", CLASSES])],
        network.weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def write_pack(folder):
    """The network as a pack."""
    folder.mkdir()
    content = mobilenet().SerializeToString()
    (folder / "model.onnx").write_bytes(content)
    own = {
        "format": 2,
        "name": "mobilenet",
        "classes": [{"id": f"class-{number}"} for number in range(CLASSES)],
        "layout": "whole",
        "input": {"height": SIDE, "width": SIDE, "channels": 3},
        "prepare": {"resize": "shortest_edge", "size": [256, 256]},
        "output": {"kind": "logits"},
        "files": {"model.onnx": hashlib.sha256(content).hexdigest()},
    }
    (folder / "card.json").write_text(json.dumps(own))
    return len(content)


def write_photographs(folder, count):
    """Smooth random pictures, as JPEG."""
    folder.mkdir()
    random = np.random.default_rng(1)
    for number in range(count):
        small = random.integers(0, 256, (12, 16, 3), dtype=np.uint8)
        photograph = Image.fromarray(small).resize((640, 480), Image.Resampling.BICUBIC)
        photograph.save(folder / f"{number:04d}.jpg", quality=90)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=400)
    count = parser.parse_args().pictures
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        size = write_pack(root / "mobilenet")
        write_photographs(root / "photographs", count)
        command = [sys.executable, "-m", "legibly", "classify", "--json", "--model"]
        command += [str(root / "mobilenet"), str(root / "photographs")]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        started = time.perf_counter()
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        seconds = time.perf_counter() - started
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert len(done.stdout.splitlines()) == count
    print(f"{size / 1e6:.1f} MB of network, {count} photographs, start included:")
    print(f"{count / seconds:.1f} a second by the clock ({seconds:.1f} s)")
    print(f"{count / cpu:.1f} a second of processor time ({1000 * cpu / count:.1f} ms each)")


if __name__ == "__main__":
    main()

"""Restore a picture with what `pellucid export lite -o lite.onnx` wrote: onnxruntime and numpy.

python restore_onnx.py lite.onnx photo.jpg restored.png [--words noisy hazy]
"""

import argparse
import json

import numpy as np
import onnxruntime
from PIL import Image


def views(image, size, most=5):
    """Up to 25 squares of the picture, evenly spread, that start on the grid of JPEG blocks."""
    _, height, width = image.shape
    rows, columns = -(-height // size), -(-width // size)
    counts = min(rows, max(most, 25 // columns)), min(columns, max(most, 25 // rows))
    starts = [
        np.round(np.linspace(0, n - size, k) if k > 1 else [(n - size) // 2]).astype(int) // 8 * 8
        for n, k in zip((height, width), counts, strict=True)
    ]
    return np.stack([image[:, y : y + size, x : x + size] for y in starts[0] for x in starts[1]])


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("model")
parser.add_argument("picture")
parser.add_argument("target")
parser.add_argument("--words", nargs="+", default=[])
args = parser.parse_args()

network = onnxruntime.InferenceSession(args.model)
tower = onnxruntime.InferenceSession(args.model.replace(".onnx", "-tower.onnx"))
about = json.loads(network.get_modelmeta().custom_metadata_map["pellucid"])
image = np.asarray(Image.open(args.picture).convert("RGB"), np.float32).transpose(2, 0, 1) / 255

mean, std = (np.float32(about[name])[:, None, None] for name in ("mean", "std"))
squares = (views(image, about["size"]) - mean) / std
content, found = np.mean([tower.run(None, {"view": view[None]}) for view in squares], axis=0)
names, rows = list(about["words"]), np.float32(list(about["words"].values()))
rows /= np.linalg.norm(rows, axis=1, keepdims=True)
shares = np.exp(about["scale"] * rows @ found[0] / np.linalg.norm(found))
print({name: round(float(s), 2) for name, s in zip(names, shares / shares.sum(), strict=True)})
if args.words:
    found = rows[[names.index(word) for word in args.words]].mean(0, keepdims=True)

_, height, width = image.shape
below, right = -height % about["multiple"], -width % about["multiple"]
padded = np.pad(image, ((0, 0), (0, below), (0, right)), "reflect")[None]
guided = {"image": padded, "degradation": found, "content": content}
wanted = {given.name: guided[given.name] for given in network.get_inputs()}
restored = network.run(None, wanted)[0][0, :, :height, :width].clip(0, 1)
Image.fromarray((restored.transpose(1, 2, 0) * 255).round().astype(np.uint8)).save(args.target)

"""What the JAX and the PyTorch contender of the table by devices share: a case's weights and batches, as case.go writes them."""

import json
import pathlib

import numpy as np


class Case:
    """config, rate, weights (name -> array, as pkg/model lays them out) and batches (pairs of inputs and labels)."""

    def __init__(self, folder):
        folder = pathlib.Path(folder)
        manifest = json.loads((folder / "case.json").read_text(encoding="utf-8"))
        values = np.fromfile(folder / "values.f32", "<f4")
        labels = np.fromfile(folder / "labels.i32", "<i4")
        self.config, self.rate = manifest["config"], manifest["rate"]
        self.weights = {}
        for v in manifest["variables"]:
            n = int(np.prod(v["shape"]))
            self.weights[v["name"]] = values[:n].reshape(v["shape"])
            values = values[n:]
        xs = values.reshape(manifest["batches"], manifest["batch"], *manifest["input"])
        self.batches = list(zip(xs, labels.reshape(manifest["batches"], manifest["batch"])))

    def convolutions(self):
        """For each 3x3 convolution of a residual net: name, channels in and out, stride."""
        list_, before = [], None
        for name, w in self.weights.items():
            if w.ndim == 4:
                _, _, n, m = w.shape
                list_.append((name.removesuffix("/W"), n, m, 2 if before is not None and n < m else 1))
                before = m
        return list_

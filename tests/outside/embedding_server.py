#!/usr/bin/env python3
"""all-MiniLM-L6-v2 behind OpenAI's embeddings route, by the forward pass of minilm.py: an engine that shares no code with the
house.

  tests/outside/install && target/outside/bin/python tests/outside/embedding_server.py PORT [CACHE]

CACHE is a folder in which vectors are kept by the hash of their text, so that a collection is embedded once.
"""
import hashlib, http.server, json, pathlib, sys, threading

import numpy
from tokenizers import Tokenizer

from minilm import MiniLm, model_folder

TOKENS_MAX, TOKENS_AT_ONCE = 256, 2048


class Texts:
    """Texts as the model's tokenizer cuts them, those of one length together."""

    def __init__(self, folder):
        self.model = MiniLm(folder)
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(TOKENS_MAX)

    def embed(self, texts):
        encoded = [one.ids for one in self.tokenizer.encode_batch(texts)]
        by_length, vectors = {}, [None] * len(texts)
        for index, ids in enumerate(encoded):
            by_length.setdefault(len(ids), []).append(index)
        for length, indices in by_length.items():
            step = max(1, TOKENS_AT_ONCE // length)
            for begin in range(0, len(indices), step):
                part = indices[begin:begin + step]
                for index, row in zip(part, self.model.embed([encoded[index] for index in part])):
                    vectors[index] = row
        return numpy.array(vectors, numpy.float32), sum(map(len, encoded))


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
    port, *cache = sys.argv[1:]
    server = serve(Cached(Texts(model_folder()), cache[0] if cache else None), int(port))
    print(f"listening on http://127.0.0.1:{server.server_address[1]}/v1", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Throughput of the local embedding model beside references in Python with the same weights, in one run, by turns: processor
seconds, one thread each, the same batches of the same tokens; cutting into tokens is left out on both sides.

  tests/outside/install
  target/outside/bin/pip install torch transformers        # the reference; without them numpy is measured alone
  target/outside/bin/python benches/embedding.py [MODEL_FOLDER]

The texts are those of src/ARCHITECTURE.md: passages of 256 tokens, and questions of some 20. Bar: at least 1.0 times the best
reference for passages and for questions.
"""
import json, os, pathlib, re, statistics, subprocess, sys, time

for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[variable] = "1"
REPOSITORY = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY / "tests" / "outside"))
import numpy as np  # noqa: E402
from minilm import MiniLm, model_folder  # noqa: E402

ROUNDS = 5
PASSAGES, PASSAGE_WORDS = 64, 220
QUESTIONS, QUESTION_WORDS = 128, 12
COSINE_MIN = 0.9999


class House:
    def __init__(self, folder):
        command = ["cargo", "bench", "--locked", "--quiet", "--bench", "embedding", "--", str(folder)]
        self.process = subprocess.Popen(command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, body):
        self.process.stdin.write(json.dumps(body) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


class Numpy:
    """The forward pass of tests/outside/minilm.py."""
    name = f"numpy {np.__version__}"

    def __init__(self, folder):
        self.model = MiniLm(folder)

    def embed(self, batch):
        return self.model.embed(batch)


class Torch:
    """BertModel of transformers with its default attention, as sentence-transformers runs it."""

    def __init__(self, folder):
        import torch, transformers
        torch.set_num_threads(1)
        self.torch, self.name = torch, f"torch {torch.__version__}, transformers {transformers.__version__}"
        self.model = transformers.BertModel.from_pretrained(str(folder), local_files_only=True, add_pooling_layer=False).eval()

    def embed(self, batch):
        torch, longest = self.torch, max(map(len, batch))
        with torch.inference_mode():
            ids = torch.zeros((len(batch), longest), dtype=torch.long)
            mask = torch.zeros((len(batch), longest), dtype=torch.long)
            for row, tokens in enumerate(batch):
                ids[row, : len(tokens)] = torch.tensor(tokens)
                mask[row, : len(tokens)] = 1
            state = self.model(input_ids=ids, attention_mask=mask).last_hidden_state
            weight = mask.unsqueeze(-1).float()
            mean = (state * weight).sum(1) / weight.sum(1)
            return torch.nn.functional.normalize(mean, dim=1).numpy()


def references(folder):
    found = [Numpy(folder)]
    try:
        found.append(Torch(folder))
    except ImportError as missing:
        print(f"torch is not measured: {missing}")
    return found


def measured(house, references, name, texts, together):
    told = house.ask({"texts": texts, "together": together})
    batches = [[told["tokens"][text] for text in batch] for batch in told["batches"]]
    order = [text for batch in told["batches"] for text in batch]
    ours = np.array(told["vectors"])[order]
    tokens = sum(map(len, told["tokens"]))
    seconds = {"bailiwick": []} | {reference.name: [] for reference in references}
    for number in range(ROUNDS):
        seconds["bailiwick"].append(house.ask({"round": number})["cpu_s"])
        for reference in references:
            began = time.process_time()
            theirs = np.concatenate([reference.embed(batch) for batch in batches])
            seconds[reference.name].append(time.process_time() - began)
            cosine = float((ours * theirs).sum(1).min())
            assert cosine >= COSINE_MIN, (reference.name, cosine)
            if number == 0:
                print(f"{name}: smallest cosine to {reference.name}: {cosine:.7f}")
    rates = {who: len(texts) / statistics.median(taken) for who, taken in seconds.items()}
    for who, rate in rates.items():
        print(f"{name}: {who:<45} {rate:8.1f} texts, {rate * tokens / len(texts):8.0f} tokens a processor second")
    best = max(rate for who, rate in rates.items() if who != "bailiwick")
    print(f"{name}: {rates['bailiwick'] / best:.2f} times the best reference (bar: at least 1.0)")
    return rates["bailiwick"] / best


def main():
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else model_folder()
    words = re.findall(r"[A-Za-z]+", (REPOSITORY / "src" / "ARCHITECTURE.md").read_text())
    cut = lambda count, width: [" ".join(words[n * width : (n + 1) * width]) for n in range(count)]  # noqa: E731
    house, others = House(folder), references(folder)
    ratios = [
        measured(house, others, "passages in batches ", cut(PASSAGES, PASSAGE_WORDS), True),
        measured(house, others, "questions in batches", cut(QUESTIONS, QUESTION_WORDS), True),
        measured(house, others, "questions one by one", cut(QUESTIONS, QUESTION_WORDS), False),
    ]
    house.process.stdin.close()
    house.process.wait()
    raise SystemExit(0 if min(ratios) >= 1.0 else "slower than a reference")


if __name__ == "__main__":
    main()

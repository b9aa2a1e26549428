"""Questions with passages and what is known of them: fitz-gov's cases (package fitz-gov) and XQuAD with the passages
BM25 finds (package bm25s). Halves are drawn by a hash, so that nobody chooses: fitz-gov's by the first passage, so that
cases made from one another stay together, XQuAD's by the article."""
import collections, hashlib, importlib.util, json, os, pathlib, subprocess, tarfile, tempfile

import bm25s
import Stemmer

ROOT = pathlib.Path(__file__).resolve().parents[1]
PASSAGES = 5
# fitz-gov's trustworthy cases whose label says that the passages answer; `grounding` and `relevance` judge the words of an
# answer, and most of their passages lack what is asked on purpose
ANSWERABLE = ("trustworthy_direct", "trustworthy_hedged")

Case = collections.namedtuple("Case", "id question passages kind golds half")


def half_of(text):
    return hashlib.sha256(text.encode()).digest()[0] % 2


def fitzgov():
    """kind: the category where a case is trustworthy, else `abstain` or `disputed`."""
    data = pathlib.Path(importlib.util.find_spec("fitz_gov").origin).parent / "data" / "tier1_core"
    for file in sorted(data.glob("*.json")):
        for case in json.loads(file.read_text())["cases"]:
            mode = case["expected_mode"]
            passages = [{"title": "", "text": text, "score": 1.0} for text in case["contexts"]]
            kind = case["category"] if mode == "trustworthy" else mode
            yield Case(case["id"], case["query"], passages, kind, [], half_of(case["contexts"][0].strip().lower()[:120]))


def xquad(folder, language="en"):
    """kind: `answerable`, and the same question without the passage that answers it, `unanswerable`."""
    name = f"xquad-{language}"
    with tempfile.TemporaryDirectory() as scratch:
        base = pathlib.Path(folder)
        for archive in base.glob("*xquad*.tar.xz"):
            with tarfile.open(archive) as opened:
                opened.extractall(scratch, filter="data")
        path = next(found.parent for root in (base, pathlib.Path(scratch)) for found in root.rglob(f"{name}/corpus.jsonl"))
        lines = lambda file: [json.loads(line) for line in (path / file).read_text().splitlines()]
        documents, queries = lines("corpus.jsonl"), lines("queries.jsonl")
        gold = dict(line.split("\t")[:2] for line in (path / "qrels.tsv").read_text().splitlines()[1:])
    stemmer = Stemmer.Stemmer({"en": "english", "de": "german", "es": "spanish"}.get(language, "english"))
    words = lambda texts: bm25s.tokenize(texts, stemmer=stemmer, stopwords=None, show_progress=False)
    index = bm25s.BM25(k1=1.2, b=0.75)
    index.index(words([f"{document['title']} {document['text']}" for document in documents]), show_progress=False)
    for query in queries:
        found, scores = index.retrieve(words([query["text"]]), k=PASSAGES + 1, show_progress=False)
        ranked = [(documents[at], float(score)) for at, score in zip(found[0], scores[0])]
        given = lambda chosen: [{"title": d["title"], "text": d["text"], "score": score} for d, score in chosen[:PASSAGES]]
        article = next(document["title"] for document in documents if document["_id"] == gold[query["_id"]])
        yield Case(query["_id"], query["text"], given(ranked), "answerable", query["answers"], half_of(article))
        without = [entry for entry in ranked if entry[0]["_id"] != gold[query["_id"]]]
        yield Case(query["_id"], query["text"], given(without), "unanswerable", [], half_of(article))


def read(cases):
    """What the embedded provider makes of each case: a dictionary with `cited`, `reason` and `signals`, and the names of
    the signals. Builds the reader first, optimised unless BAILIWICK_PROFILE is `debug`: what it says is the same."""
    profile = ["--profile", "dev"] if os.environ.get("BAILIWICK_PROFILE") == "debug" else []
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        for case in cases:
            file.write(json.dumps({"question": case.question, "passages": case.passages}) + "\n")
        file.flush()
        command = ["cargo", "bench", "--quiet", "--workspace", "--bench", "answers", *profile, "--", file.name]
        printed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    names, *found = [json.loads(line) for line in printed.splitlines() if line.startswith("{")]
    assert len(found) == len(cases), f"{len(found)} of {len(cases)} cases were read"
    return names["signals"], found

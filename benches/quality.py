#!/usr/bin/env python3
"""Retrieval and answer quality through the public routes, judged by the standard tool (pytrec_eval).

  tests/outside/install
  BAILIWICK_PROFILE=release target/outside/bin/python benches/quality.py FOLDER [collection …]
  … benches/quality.py --minilm [--vectors CACHE] FOLDER [collection …]

With --minilm the rankings by words, by meaning and by both are printed in the place of the answers, the meaning being that of
the model in tests/outside/minilm.py; CACHE keeps vectors between runs. Last comes what a tenant is served once `bailiwick eval
run` has asked half of the questions as golden ones (200 at most), measured on the questions of the other half.

FOLDER holds `<collection>.tar.xz` archives or unpacked folders with corpus.jsonl {_id,title,text},
queries.jsonl {_id,text[,answers][,answerable]} and qrels.tsv (query, document, grade; with a header).
"""
import argparse, concurrent.futures, json, pathlib, subprocess, sys, tarfile, tempfile

import pytrec_eval

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests" / "outside"))
import dense  # noqa: E402
from house import binary, house  # noqa: E402

BATCH_DOCUMENTS = 250
BATCH_BYTES = 2_000_000
WORKERS = 8
TENANT = "default"
GOLDEN_MAX = 200


def unpack(folder, scratch):
    for archive in sorted(folder.glob("*.tar.xz")):
        with tarfile.open(archive) as opened:
            opened.extractall(scratch, filter="data")
    return {corpus.parent.name: corpus.parent for base in (folder, scratch) for corpus in sorted(base.rglob("corpus.jsonl"))}


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines() if line.strip()]


def ingest(served, key, corpus):
    batch, size = [], 0
    ids = {}
    for document in corpus:
        text = document["text"].strip() or document["title"]
        entry = {"id": f"d-{len(ids)}", "title": document["title"] or document["_id"], "text": text}
        ids[entry["id"]] = document["_id"]
        batch.append(entry)
        size += len(text)
        if len(batch) == BATCH_DOCUMENTS or size > BATCH_BYTES:
            served.call("POST", "/v1/documents", {"documents": batch}, key=key)
            batch, size = [], 0
    if batch:
        served.call("POST", "/v1/documents", {"documents": batch}, key=key)
    last = f"d-{len(ids) - 1}"
    for _ in range(100_000):  # searchable within a second; asked, not slept
        if served.call("GET", f"/v1/documents/{last}", key=key)["state"] == "indexed":
            return ids
    raise SystemExit("the last document never became searchable")


def search(served, key, ids, query):
    hits = served.call("POST", "/v1/search", {"query": query["text"], "top_k": 100}, key=key)["hits"]
    run = {}
    for hit in hits:
        document = ids[hit["document_id"]]
        run[document] = max(run.get(document, 0.0), hit["score"])
    return query["_id"], run


def measured(served, key, ids, queries, qrels):
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        run = dict(pool.map(lambda query: search(served, key, ids, query), [query for query in queries if query["_id"] in qrels]))
    evaluator = pytrec_eval.RelevanceEvaluator(qrels, {"ndcg_cut_10", "recall_100", "recip_rank"})
    return evaluator.evaluate({query: found for query, found in run.items() if found})


def means(rows, judged):
    mean = lambda name: sum(rows[query][name] for query in judged if query in rows) / len(judged)
    return {"nDCG@10": mean("ndcg_cut_10"), "R@100": mean("recall_100"), "MRR": mean("recip_rank")}


def retrieval(served, key, ids, queries, qrels):
    return means(measured(served, key, ids, queries, qrels), qrels)


def ask(served, key, query):
    return query, served.call("POST", "/v1/ask", {"question": query["text"]}, key=key)


def answers(served, key, queries):
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        given = list(pool.map(lambda query: ask(served, key, query), queries))
    figures = {}
    with_gold = [(query, answer) for query, answer in given if query.get("answers")]
    if with_gold:
        first = lambda answer: answer["citations"][0]["snippet"].lower() if answer["citations"] else ""
        hits = sum(any(gold.lower() in first(answer) for gold in query["answers"]) for query, answer in with_gold)
        figures["first cited sentence holds a gold answer"] = hits / len(with_gold)
        figures["abstained"] = sum(answer["abstained"] for _, answer in with_gold) / len(with_gold)
    if any("answerable" in query for query in queries):
        judged = [(query.get("answerable", True), answer["abstained"]) for query, answer in given]
        refused = [abstained for answerable, abstained in judged if not answerable]
        answered = [not abstained for answerable, abstained in judged if answerable]
        figures["abstained where it must"] = sum(refused) / max(1, len(refused))
        figures["answered where it can"] = sum(answered) / max(1, len(answered))
    return figures


ARMS = {"lexical": {"weight": 0.0}, "dense": {"weight": 1.0}, "hybrid": {"weight": 0.5}, "hybrid by rank": {"weight": 0.5, "fusion": "rrf"}}


def arms(served, key, ids, queries, qrels):
    """The same index and the same vectors under settings that differ in nothing but the weight of the two rankings."""
    for number, (name, settings) in enumerate(ARMS.items(), start=1):
        dense.want(served, TENANT, number, untested=True, chunks_per_minute=600_000, **settings)
        dense.wait(served, key, TENANT, len(ids))
        yield name, measured(served, key, ids, queries, qrels)


def after_golden_questions(served, key, ids, queries, qrels):
    """What is served once every other question was asked as a golden one, and those that were not."""
    judged = [query for query in queries if query["_id"] in qrels]
    of_document = {document: entry for entry, document in ids.items()}
    golden = [{"question": query["text"], "relevant": [of_document[document] for document, grade in qrels[query["_id"]].items() if grade > 0 and document in of_document]}
              for query in judged[::2]]
    golden = [question for question in golden if question["relevant"]][:GOLDEN_MAX]
    file = served.folder / "tenants" / TENANT / "eval" / "golden.jsonl"
    file.write_text("".join(json.dumps(question) + "\n" for question in golden))
    dense.want(served, TENANT, len(ARMS) + 1, chunks_per_minute=600_000, weight=0.5)
    command = [binary(), "eval", "run", "--server", served.url, "--data", str(served.folder / "data"), "--tenant", TENANT]
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # it ends with 1 where the sample's thresholds are missed
    if not dense.standing(served, TENANT)["judged"]:
        raise SystemExit("both searches were never compared")
    unseen = [query["_id"] for query in judged[1::2]]
    return measured(served, key, ids, judged[1::2], {query: qrels[query] for query in unseen}), unseen


# nDCG@10 by words and by words and meaning, of other programs with the same model (bm25s, tantivy with one field, min-max sums)
PUBLIC = {"scifact": (0.684, 0.728), "xquad-en": (0.968, 0.980), "fitzgov": (0.743, 0.778)}


def verdicts(name, found):
    """What is aimed at, said of what was found: by words within 0.01 of others, by both no worse than either arm by 0.01."""
    lexical, dense_alone, hybrid = (found.get(arm) for arm in ("lexical", "dense", "hybrid"))
    words, both = PUBLIC.get(name, (None, None))
    if words is not None:
        print(f"{name}: words {lexical - words:+.4f} beside others ({words}): {'holds' if lexical >= words - 0.01 else 'MISSED'}")
    if hybrid is not None:
        better = max(lexical, dense_alone)
        held = "holds" if hybrid >= better - 0.01 else "MISSED: golden questions keep the meaning of this model out of this tenant's searches"
        print(f"{name}: both {hybrid - better:+.4f} beside the better arm: {held}")
        if both is not None:
            print(f"{name}: both {hybrid - both:+.4f} beside the best of others ({both})")


def verdict_of_unseen(name, arms, rows, unseen):
    of = lambda rows: means(rows, unseen)["nDCG@10"]
    better = max(of(arms["lexical"]), of(arms["dense"]))
    held = "holds" if of(rows) >= better - 0.01 else "MISSED"
    print(f"{name}: served after golden questions {of(rows) - better:+.4f} beside the better arm, {len(unseen)} unseen questions: {held}")


def row(name, figures):
    print(f"{name:28s} | " + " | ".join(f"{label} {value:.4f}" for label, value in figures.items()), flush=True)


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--minilm", action="store_true")
    options.add_argument("--vectors")
    options.add_argument("folder", type=pathlib.Path)
    options.add_argument("collections", nargs="*")
    given = options.parse_args()
    config = ""
    if given.minilm:
        import embedding_server, minilm
        server = embedding_server.serve(embedding_server.Cached(embedding_server.Texts(minilm.model_folder()), given.vectors))
        config = dense.config(f"http://127.0.0.1:{server.server_port}/v1")
    with tempfile.TemporaryDirectory() as scratch:
        for name, path in unpack(given.folder, pathlib.Path(scratch)).items():
            if given.collections and name not in given.collections:
                continue
            with house(config) as served:
                key = served.key(TENANT)
                corpus, queries = lines(path / "corpus.jsonl"), lines(path / "queries.jsonl")
                qrels = {}
                for line in (path / "qrels.tsv").read_text().splitlines()[1:]:
                    query, document, grade = line.split("\t")
                    qrels.setdefault(query, {})[document] = int(grade)
                ids = ingest(served, key, corpus)
                if given.minilm:
                    found = {}
                    for arm, rows in arms(served, key, ids, queries, qrels):
                        row(f"{name} {arm}", means(rows, qrels))
                        found[arm] = rows
                    verdicts(name, {arm: means(rows, qrels)["nDCG@10"] for arm, rows in found.items()})
                    rows, unseen = after_golden_questions(served, key, ids, queries, qrels)
                    row(f"{name} served", means(rows, unseen))
                    verdict_of_unseen(name, found, rows, unseen)
                    continue
                figures = retrieval(served, key, ids, queries, qrels)
                figures |= answers(served, key, queries) if any("answers" in query or "answerable" in query for query in queries) else {}
                row(name, figures)
                verdicts(name, {"lexical": figures["nDCG@10"]})


if __name__ == "__main__":
    main()

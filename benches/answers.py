#!/usr/bin/env python3
"""What the embedded provider makes of questions whose answers are known, and a reference reader in Python on the same.

  tests/outside/install
  target/outside/bin/python benches/answers.py FOLDER

FOLDER holds xquad.tar.xz. Refusals: fitz-gov's cases with their own passages, on the half support_fit.py has not seen.
Answers: XQuAD-en with the five passages BM25 finds, all questions and the unseen half. The reference reader takes the
sentence of these passages that BM25 ranks first (bm25s, Snowball English), and never refuses.
"""
import collections, re, string, sys

import bm25s
import Stemmer
from sklearn.metrics import roc_auc_score

from answer_cases import ANSWERABLE, fitzgov, read, xquad

STEMMER = Stemmer.Stemmer("english")


def squad_tokens(text):
    """As SQuAD's evaluation normalises: lower case, no punctuation, no articles."""
    bare = "".join(c for c in text.lower() if c not in string.punctuation)
    return re.sub(r"\b(a|an|the)\b", " ", bare).split()


def f1_and_recall(said, gold):
    said, gold = squad_tokens(said), squad_tokens(gold)
    shared = sum((collections.Counter(said) & collections.Counter(gold)).values())
    if not shared:
        return 0.0, 0.0
    precision, recall = shared / len(said), shared / len(gold)
    return 2 * precision * recall / (precision + recall), recall


def reference(case):
    sentences = [s for p in case.passages for s in re.split(r"(?<=[.!?])\s+(?=[A-Z0-9\"(])", p["text"]) if s.strip()]
    words = lambda texts: bm25s.tokenize(texts, stemmer=STEMMER, stopwords="en", show_progress=False)
    index = bm25s.BM25(k1=1.2, b=0.75)
    index.index(words(sentences), show_progress=False)
    found, _ = index.retrieve(words([case.question]), k=1, show_progress=False)
    return sentences[found[0][0]]


def plain(said):
    return re.sub(r" \[\d+\]", "", said)


def answers(cases, found, label):
    """Figures over all questions; one that was refused counts 0."""
    ours, theirs, first, exact, cited, sentences, passages, characters, refused = [], [], [], 0, 0, [], [], [], 0
    for case, entry in zip(cases, found):
        best = lambda said: max(f1_and_recall(said, gold) for gold in case.golds)
        theirs.append(best(reference(case)))
        said = " ".join(plain(words) for *_, words in entry["cited"])
        ours.append(best(said))
        spans = [case.passages[marker - 1]["text"][start:end] for marker, start, end, _ in entry["cited"]]
        cited += len(spans)
        exact += sum(squad_tokens(span) == squad_tokens(plain(words)) for span, (*_, words) in zip(spans, entry["cited"]))
        first.append(bool(spans) and any(gold.lower() in spans[0].lower() for gold in case.golds))
        refused += not spans
        if spans:
            sentences.append(len(spans)), characters.append(len(said)), passages.append(len({marker for marker, *_ in entry["cited"]}) > 1)
    mean = lambda values: sum(values) / max(1, len(values))
    hit = mean([any(gold.lower() in reference(case).lower() for gold in case.golds) for case in cases])
    print(f"{label}: {len(cases)} questions")
    print(f"  embedded  | token F1 {mean([f for f, _ in ours]):.4f} | answer recall {mean([r for _, r in ours]):.4f} | first cited sentence holds a gold answer {mean(first):.4f} | falsely refused {refused / len(cases):.4f}")
    print(f"  reference | token F1 {mean([f for f, _ in theirs]):.4f} | answer recall {mean([r for _, r in theirs]):.4f} | its sentence holds a gold answer {hit:.4f}")
    print(f"  citations valid {exact} of {cited} | sentences an answer {mean(sentences):.2f}, characters {mean(characters):.0f}, from several passages {mean(passages):.4f}")


def refusals(cases, found, right, wrong, label):
    """How `right` to refuse and `wrong` to refuse come apart."""
    share = lambda kinds: [not entry["cited"] for case, entry in zip(cases, found) if case.kind in kinds]
    doubts = [(case.kind in right, entry["doubt"]) for case, entry in zip(cases, found) if case.kind in right + wrong]
    auc = roc_auc_score([is_right for is_right, _ in doubts], [doubt for _, doubt in doubts])
    rightly, falsely = share(right), share(wrong)
    print(f"  {label} | AUC {auc:.3f} | refused rightly {sum(rightly) / len(rightly):.4f} of {len(rightly)} | falsely {sum(falsely) / len(falsely):.4f} of {len(falsely)}")


def main():
    govern, squad = list(fitzgov()), list(xquad(sys.argv[1]))
    _, found = read(govern + squad)
    judged = list(zip(govern + squad, found))
    of = lambda cases, keeps: tuple(zip(*[(case, entry) for case, entry in cases if keeps(case)]))
    unseen = of(judged[: len(govern)], lambda case: case.half == 1)
    print("fitz-gov, the unseen half")
    refusals(*unseen, ("abstain",), ANSWERABLE, "abstain against trustworthy (answerability)")
    refusals(*unseen, ("abstain",), (*ANSWERABLE, "grounding", "relevance"), "abstain against everything trustworthy")
    disputed = [entry for case, entry in zip(*unseen) if case.kind == "disputed"]
    sides = [len({marker for marker, *_ in entry["cited"]}) > 1 for entry in disputed]
    print(f"  disputed | refused {sum(not entry['cited'] for entry in disputed) / len(disputed):.4f}, answered from several passages {sum(sides) / len(sides):.4f} of {len(disputed)}")
    questions = judged[len(govern):]
    print("XQuAD-en, the unseen half, with and without the passage that answers")
    refusals(*of(questions, lambda case: case.half == 1), ("unanswerable",), ("answerable",), "without against with")
    answers(*of(questions, lambda case: case.kind == "answerable" and case.half == 1), "XQuAD-en, the unseen half")
    answers(*of(questions, lambda case: case.kind == "answerable"), "XQuAD-en")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Fits the weights by which the embedded provider judges whether passages answer an English question, on the training
halves alone, and writes actors/tenant/routing/providers/extractive/doubts/weights.rs. The same data and versions
(tests/outside/requirements.txt) give the same file.

  tests/outside/install
  target/outside/bin/python benches/support_fit.py FOLDER

FOLDER holds xquad.tar.xz. Trained on: fitz-gov's cases whose label says whether the passages answer (`abstain` against
`trustworthy_direct`, `trustworthy_hedged` and, for less, `disputed`), and XQuAD-en with and without the passage that answers. The threshold is
set where at most 8 % of the answerable fitz-gov cases and 7 % of XQuAD would be refused, out of fold. The other halves are left to answers.py.
"""
import hashlib, sys

import numpy
from sklearn.ensemble import GradientBoostingClassifier

from answer_cases import ANSWERABLE, ROOT, fitzgov, read, xquad

WEIGHTS = ROOT / "actors/tenant/routing/providers/extractive/doubts/weights.rs"
TREES, RATE, FOLDS = 250, 0.1, 10
# shares of questions with an answer that may be refused, out of fold: the stricter of the two decides
FALSE_REFUSALS = [(ANSWERABLE, 0.08), (("answerable",), 0.07)]
KINDS = ("abstain", "disputed", *ANSWERABLE, "answerable", "unanswerable")
# what a case counts: a disputed one has its answers in the passages, but more than one
COUNTS = {"disputed": 0.3, "answerable": 0.7, "unanswerable": 0.7}


def fitted(signals, refuse, counts):
    return GradientBoostingClassifier(
        n_estimators=TREES, max_depth=2, learning_rate=RATE, subsample=0.5, max_features=0.2, min_samples_leaf=10, random_state=0
    ).fit(signals, refuse, sample_weight=counts)


def fold_of(case):
    """Cases of one article, or made from one another, are left out together."""
    return int.from_bytes(hashlib.sha256((case.passages[0]["title"] or case.passages[0]["text"]).encode()).digest()[:4], "big") % FOLDS


def node(tree, at):
    """Feature, threshold and the two below; a leaf that ends early decides nothing and passes its value on."""
    if tree.children_left[at] < 0:
        return 0, 0.0, at, at
    return int(tree.feature[at]), float(tree.threshold[at]), tree.children_left[at], tree.children_right[at]


def row(tree):
    feature, threshold, left, right = node(tree, 0)
    below = [node(tree, left), node(tree, right)]
    leaves = [RATE * tree.value[leaf][0][0] for _, _, less, more in below for leaf in (less, more)]
    features = ", ".join(str(f) for f in (feature, below[0][0], below[1][0]))
    thresholds = ", ".join(f"{t:.4f}" for t in (threshold, below[0][1], below[1][1]))
    return f"    ([{features}], [{thresholds}], [{', '.join(f'{leaf:.3f}' for leaf in leaves)}]),"


def main():
    cases = [case for case in [*fitzgov(), *xquad(sys.argv[1])] if case.half == 0 and case.kind in KINDS]
    names, found = read(cases)
    signals = numpy.array([entry["signals"] for entry in found])
    kinds = numpy.array([case.kind for case in cases])
    refuse = numpy.isin(kinds, ["abstain", "unanswerable"])
    counts = numpy.array([COUNTS.get(kind, 1.0) for kind in kinds])
    folds = numpy.array([fold_of(case) for case in cases])
    doubts = numpy.zeros(len(cases))
    for fold in range(FOLDS):
        out, rest = folds == fold, folds != fold
        doubts[out] = fitted(signals[rest], refuse[rest], counts[rest]).decision_function(signals[out])
    threshold = max(numpy.quantile(doubts[numpy.isin(kinds, those)], 1 - share) for those, share in FALSE_REFUSALS)
    for kind in sorted(set(kinds)):
        print(f"out of fold, {kind:20s} {(kinds == kind).sum():5d} refused {(doubts[kinds == kind] > threshold).mean():.3f}")
    scorer = fitted(signals, refuse, counts)
    bias = float(scorer.init_.class_prior_[1])
    bias = numpy.log(bias / (1 - bias)) - threshold
    rows = "\n".join(row(tree[0].tree_) for tree in scorer.estimators_)
    WEIGHTS.parent.mkdir(exist_ok=True)
    WEIGHTS.write_text(f"""//! The weights of the scorer of doubt: written by `benches/support_fit.py`, not by hand. Numbers only.
use super::Tree;

/// What every question begins with; the threshold is taken off already.
pub const BIAS: f32 = {bias:.3f};

/// The trees, in the order they were fitted: which figures are looked at, where they part, what follows.
#[rustfmt::skip]
#[allow(clippy::approx_constant, reason = "fitted numbers: that one is near a constant means nothing")]
pub const TREES: [Tree; {TREES}] = [
{rows}
];
""")


if __name__ == "__main__":
    main()

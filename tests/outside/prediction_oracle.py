"""The mean of a judge's verdicts over all answers from a sample of them, reckoned again from the formulas of PPI++ (Angelopoulos,
Duchi and Zrnic, arXiv:2311.01453, sections 2 and 6) on the values themselves, and compared with the published vectors, which the
crate is compared with in `evaluation/prediction_tests.rs`. BAILIWICK_BLESS=1 writes the vectors anew.

    prediction_oracle.py [--authors]

`--authors` compares with the authors' own program as well, ppi-python 0.2.3. It is not among the requirements: it brings a
compiler along, 375 MB in all. Its weight is the same ratio with the variance of the figures pooled over both samples, so that the two
are compared where the weight is given: the mean, the variance, and that no interval of its own is narrower.

What is reckoned, of n answers with a verdict y and a figure f, and N further ones with their figure alone:

    weight = cov(y, f) / (var(f) + n/N var(f of the others)), between 0 and 1: the lowest point of the variance
    mean = mean(y) - weight (mean(f) - mean(f of the others))
    variance = var(y - weight f) / n + weight^2 var(f of the others) / N

The interval is that of the verdicts alone (Wilson's where all are 0 or 1, Student's otherwise) around the new mean, as much
narrower as its standard error is smaller, and never wider."""
import argparse, json, math, os, pathlib

import numpy
from scipy import stats

VECTORS = pathlib.Path(__file__).resolve().parents[1] / "data" / "prediction-vectors.jsonl"
PARTS = 10_000
VERDICTS_MIN = 20


def alone(y) -> tuple[float, float, float]:
    """The mean of the verdicts and its interval of 95 %."""
    n, mean = len(y), float(numpy.mean(y))
    if numpy.isin(y, [0.0, 1.0]).all():
        found = stats.binomtest(int(y.sum()), n).proportion_ci(0.95, method="wilson")
        low, high = found.low, found.high
    elif n == 1:
        low, high = 0.0, 1.0
    else:
        half = stats.t.ppf(0.975, n - 1) * stats.sem(y)
        low, high = mean - half, mean + half
    return mean, min(max(low, 0.0), mean), max(min(high, 1.0), mean)


def variance(y, f, others, weight: float, ddof: int = 1) -> float:
    return numpy.var(y - weight * f, ddof=ddof) / len(y) + weight**2 * numpy.var(others, ddof=ddof) / len(others)


def reckoned(row: dict) -> dict:
    judged = numpy.array(row["judged"], dtype=float).reshape(-1, 2) / PARTS
    y, f, others = judged[:, 0], judged[:, 1], numpy.array(row["others"], dtype=float) / PARTS
    mean, low, high = alone(y)
    told = {"sample": [mean, low, high], "weight": 0.0, "mean": mean, "low": low, "high": high}
    if len(y) < VERDICTS_MIN or len(others) < 2 or numpy.ptp(y) == 0:
        return told
    spread = numpy.var(f, ddof=1) + len(y) / len(others) * numpy.var(others, ddof=1)
    weight = float(numpy.clip(numpy.cov(y, f)[0, 1] / spread, 0, 1)) if spread > 1e-15 else 0.0
    if weight <= 1e-12:
        return told
    narrowed = min(math.sqrt(variance(y, f, others, weight) / (numpy.var(y, ddof=1) / len(y))), 1.0)
    corrected = min(max(mean - weight * (f.mean() - others.mean()), 0.0), 1.0)
    below, above = corrected - (mean - low) * narrowed, corrected + (high - mean) * narrowed
    told.update(weight=weight, mean=corrected, low=min(max(below, 0.0), corrected), high=max(min(above, 1.0), corrected))
    return told


def rows():
    """Samples of judges and figures of many kinds: good, useless, misleading, constant, few, of shares and of yes and no."""
    draw = numpy.random.default_rng(20261126)
    whole = lambda values: [int(value) for value in numpy.rint(numpy.clip(values, 0, 1) * PARTS)]

    def row(n, others, verdicts, figures):
        y = verdicts(n + others)
        f = figures(y)
        return {"judged": list(map(list, zip(whole(y[:n]), whole(f[:n])))), "others": whole(f[n:])}

    yes = lambda share: lambda count: (draw.random(count) < share).astype(float)
    shares = lambda a, b: lambda count: draw.beta(a, b, count)
    follows = lambda noise, bias=0.0: lambda y: 0.2 + 0.6 * y + bias + draw.normal(0, noise, len(y))
    useless = lambda y: draw.random(len(y))
    against = lambda y: 1 - follows(0.1)(y)
    constant = lambda y: numpy.full(len(y), 0.7)
    # a step of the figure is a tenth of one of the verdicts: the best weight would be beyond 1
    small = lambda y: 0.5 + 0.1 * y + draw.normal(0, 0.001, len(y))
    for n, others in [(20, 20), (20, 400), (40, 160), (60, 30), (150, 60)]:
        for verdicts in (yes(0.8), yes(0.5), yes(0.97), shares(4, 2)):
            for figures in (follows(0.05), follows(0.3, 0.1), useless):
                yield row(n, others, verdicts, figures)
        for figures in (against, constant, small):
            yield row(n, others, yes(0.6), figures)
    for n, others in [(1, 50), (19, 200), (20, 0), (20, 1), (25, 2)]:
        yield row(n, others, yes(0.6), follows(0.1))
        yield row(n, others, shares(2, 2), follows(0.1))
    yield row(30, 100, yes(1.1), follows(0.1))
    yield row(30, 100, yes(-1), follows(0.1))


def compare_with_authors(row: dict) -> bool:
    from ppi_py import ppi_mean_ci, ppi_mean_pointestimate

    told = row["expected"]
    if told["weight"] == 0.0:
        return False
    judged = numpy.array(row["judged"], dtype=float) / PARTS
    y, f, others = judged[:, 0], judged[:, 1], numpy.array(row["others"], dtype=float) / PARTS
    mean = ppi_mean_pointestimate(y, f, others, lam=told["weight"]).item()
    assert abs(min(max(mean, 0.0), 1.0) - told["mean"]) < 1e-12, (mean, told)
    error = lambda weight: (lambda ends: (ends[1] - ends[0]).item() / 2 / stats.norm.ppf(0.975))(ppi_mean_ci(y, f, others, alpha=0.05, lam=weight))
    assert abs(error(told["weight"]) ** 2 - variance(y, f, others, told["weight"], ddof=0)) < 1e-12, told
    # its own weight is another estimate of the same lowest point
    assert error(told["weight"]) <= error(None) * (1 + 1 / min(len(y), len(others))), told
    return True


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--authors", action="store_true")
    authors = arguments.parse_args().authors
    if os.environ.get("BAILIWICK_BLESS"):
        lines = [json.dumps({**row, "expected": reckoned(row)}, separators=(",", ":")) for row in rows()]
        VECTORS.write_text("\n".join(lines) + "\n")
    vectors = [json.loads(line) for line in VECTORS.read_text().splitlines()]
    for row in vectors:
        told, again = row["expected"], reckoned(row)
        flat = lambda one: [*one["sample"], one["weight"], one["mean"], one["low"], one["high"]]
        assert numpy.allclose(flat(told), flat(again), rtol=0, atol=1e-12), (told, again)
    corrected = sum(row["expected"]["weight"] > 0 for row in vectors)
    assert len(vectors) >= 80 and corrected >= 45, (len(vectors), corrected)
    print(f"prediction-powered means in Python: {len(vectors)} samples agree, {corrected} of them corrected")
    if authors:
        print(f"the authors' own program: {sum(map(compare_with_authors, vectors))} means and variances agree")


if __name__ == "__main__":
    main()

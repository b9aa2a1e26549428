"""Who is in a rollout, written again from the description in actors/policy/flags.rs and compared with the published
vectors. BAILIWICK_BLESS=1 writes the vectors anew."""
import hashlib, itertools, json, os, pathlib, uuid

VECTORS = pathlib.Path(__file__).resolve().parents[1] / "data" / "flag-vectors.jsonl"
MILLION = 1_000_000


def draw(purpose: str, flag: str, seed: str, key: str, places: int) -> int:
    parts = [part.encode() for part in (purpose, flag, seed, key)]
    hashed = hashlib.sha256(b"".join(len(part).to_bytes(8, "big") + part for part in parts)).digest()
    return int.from_bytes(hashed[:8], "big") * places >> 64


def variant(flag: str, seed: str, key: str, weights: dict[str, int]) -> str:
    left = draw("split", flag, seed, key, sum(weights.values()))
    for name in sorted(weights):
        if left < weights[name]:
            return name
        left -= weights[name]
    raise AssertionError("the draw is below the sum of the weights")


def million() -> dict:
    """SHA-256 over the places of a million keys, each as 4 bytes, most significant first."""
    digest = hashlib.sha256()
    for number in range(MILLION):
        digest.update(draw("rollout", "million", "", f"user-{number}", 100_000).to_bytes(4, "big"))
    return {"flag": "million", "seed": "", "keys": "user-0 to user-999999",
            "places_sha256": digest.hexdigest()}


def rows():
    flags = [("hybrid_retrieval", ""), ("hybrid_retrieval", "2026-11"), ("ab", "c"), ("a", "bc"), ("a", "")]
    plain = [f"user-{number}" for number in range(12)] + [f"{number}" for number in range(6)]
    names = [f"{first}.{last}@example.org" for first in ("ada", "grace") for last in ("l", "hopper", "o-neill")]
    ids = [str(uuid.uuid5(uuid.NAMESPACE_URL, f"urn:bailiwick:{number}")) for number in range(12)]
    odd = [" ", "  ", "\n", "\"quoted\"", "a,b", "a\u0000b", "USER-1", "user-1 ", "\u00e9", "e\u0301", "\u00df", "ss", "日本", "🙂", "\ufb01", "\ufffd",
           "\U0001f9d1\u200d\U0001f52c", "x" * 1024, "bc", "c", "b", "\u202eabc"]
    weights = itertools.cycle([{"blue": 1, "green": 3, "red": 3}, {"A": 1, "a": 1}, {"long": 999_999, "short": 1}, {"x": 1, "x.y": 2, "x_y": 3, "x-y": 4}])
    for (flag, seed), key in itertools.product(flags, plain + names + ids + odd):
        share = next(weights)
        yield {"flag": flag, "seed": seed, "key": key, "place": draw("rollout", flag, seed, key, 100_000),
               "weights": share, "variant": variant(flag, seed, key, share)}


def main():
    if os.environ.get("BAILIWICK_BLESS"):
        lines = [json.dumps(row, separators=(",", ":")) for row in [*rows(), million()]]
        VECTORS.write_text("\n".join(lines) + "\n")
    *vectors, whole = [json.loads(line) for line in VECTORS.read_text().splitlines()]
    for row in vectors:
        flag, seed, key = row["flag"], row["seed"], row["key"]
        assert draw("rollout", flag, seed, key, 100_000) == row["place"], row
        assert variant(flag, seed, key, row["weights"]) == row["variant"], row
    assert million() == whole, whole
    print(f"flags in Python: {len(vectors)} vectors and {MILLION} keys agree")


if __name__ == "__main__":
    main()

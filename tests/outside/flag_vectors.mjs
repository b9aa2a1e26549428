// Who is in a rollout, written again from the description in actors/policy/flags.rs and compared with the published vectors.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";

const MILLION = 1_000_000;

function draw(purpose, flag, seed, key, places) {
  const hash = createHash("sha256");
  for (const part of [purpose, flag, seed, key]) {
    const bytes = Buffer.from(part, "utf8");
    const length = Buffer.alloc(8);
    length.writeBigUInt64BE(BigInt(bytes.length));
    hash.update(length).update(bytes);
  }
  return Number((hash.digest().readBigUInt64BE() * BigInt(places)) >> 64n);
}

function variant(flag, seed, key, weights) {
  const total = Object.values(weights).reduce((sum, weight) => sum + weight, 0);
  let left = draw("split", flag, seed, key, total);
  for (const name of Object.keys(weights).sort()) { // names are ASCII: code units are bytes
    if (left < weights[name]) return name;
    left -= weights[name];
  }
  assert.fail("the draw is below the sum of the weights");
}

const vectors = readFileSync(new URL("../data/flag-vectors.jsonl", import.meta.url), "utf8").trimEnd().split("\n").map((line) => JSON.parse(line));
const whole = vectors.pop();
for (const { flag, seed, key, place, weights, variant: expected } of vectors) {
  assert.equal(draw("rollout", flag, seed, key, 100_000), place, `${flag} ${seed} ${key}`);
  assert.equal(variant(flag, seed, key, weights), expected, `${flag} ${seed} ${key}`);
}
const digest = createHash("sha256");
for (let number = 0; number < MILLION; number += 1) {
  const place = Buffer.alloc(4);
  place.writeUInt32BE(draw("rollout", whole.flag, whole.seed, `user-${number}`, 100_000));
  digest.update(place);
}
assert.equal(digest.digest("hex"), whole.places_sha256);
console.log(`flags in JavaScript: ${vectors.length} vectors and ${MILLION} keys agree`);

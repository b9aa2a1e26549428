"""What is kept and what has to go, decided again from the description and compared with what the crate decides.

    retention_oracle.py [FILE] [--sets N]

Nothing of the crate is read but random rules with its verdicts, a JSON line for each set, as `cargo test -p bailiwick-policy
--test retention` writes them; BAILIWICK_RETENTION_SETS says how many.

Time is a row of steps of a quarter of a day, which no rule is finer than. For every step it is written down who keeps the
record then, and who wants it gone; what is asked of a step is read off that row. There is no arithmetic of intervals and
no list of boundaries here: until when something keeps the record is found by going on until it no longer does, and when the
decision changes by deciding at every step that follows.

What the rules mean:

* a minimum keeps every record of its type for so many days from its storage on, and before it, where a clock went back;
  one of no days keeps nothing. A type without a minimum is refused, and so is one nobody knows.
* a hold keeps what it selects from `since` up to `released`, which is the first step without it.
* a maximum wants a record of its type gone by the step that lies so many days behind its storage, and from that step on.
* a request wants what it selects, of what was stored by the step it was made, gone from that step on, by the one so many
  days behind it; before that step nobody knows of it.
* while something keeps the record it stays: in conflict, where the last to keep it does so beyond the first step by which
  it should be gone. Otherwise it must go where somebody wants it gone now, and may go where nobody does.
"""
import argparse, collections, json, multiprocessing, os, pathlib, sys, time

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"))

STEP_MS = 21_600_000
STEPS_A_DAY = 4
# no rule of these sets begins or ends as late as this
HORIZON = 120
TYPES = {"logs", "data", "backups"}


def step(ms):
    """The step an instant is, which has to be one."""
    whole, rest = divmod(ms, STEP_MS)
    assert rest == 0 and 0 <= whole < HORIZON, ms
    return whole


def is_selected(selects, case):
    def is_named(pattern):
        return case["id"].startswith(pattern[:-1]) if pattern.endswith("*") else case["id"] == pattern

    return (any(map(is_named, selects["documents"])) or case["domain"] in selects["domains"]
            or not set(case["subjects"]).isdisjoint(selects["subjects"]))


class Row:
    """Who keeps a record and who wants it gone, at every step."""

    def __init__(self, rules, case):
        stored = step(case["stored"])
        self.order = []
        self.keeping = [set() for _ in range(HORIZON)]
        self.known = [{} for _ in range(HORIZON)]
        self.wanting = [set() for _ in range(HORIZON)]
        for rule in rules["minimums"]:
            if rule["type"] == case["type"]:
                # no days are no time, not the time up to the storage
                self.paint(self.keeping, rule["name"], lambda at: rule["days"] > 0 and at < stored + rule["days"] * STEPS_A_DAY)
        self.held = [set() for _ in range(HORIZON)]
        for rule in rules["holds"]:
            if is_selected(rule["selects"], case):
                since, released = step(rule["since"]), HORIZON if rule["released"] is None else step(rule["released"])
                self.paint(self.keeping, rule["name"], lambda at: since <= at < released)
                self.paint(self.held, rule["name"], lambda at: since <= at < released)
        for rule in rules["maximums"]:
            if rule["type"] == case["type"]:
                by = stored + rule["days"] * STEPS_A_DAY
                self.want(rule["name"], 0, by, by)
        for rule in rules["requests"]:
            if is_selected(rule["selects"], case) and stored <= step(rule["made"]):
                made = step(rule["made"])
                self.want(rule["name"], made, made, made + rule["within_days"] * STEPS_A_DAY)

    def paint(self, row, name, is_there):
        if name not in self.order:
            self.order.append(name)
        for at in range(HORIZON):
            if is_there(at):
                row[at].add(name)

    def want(self, name, known, wanted, by):
        self.order.append(name)
        for at in range(HORIZON):
            if at >= known:
                self.known[at][name] = by
            if at >= wanted:
                self.wanting[at].add(name)

    def until(self, name, at):
        """The first step at which this no longer keeps the record; the horizon, where there is none."""
        while at < HORIZON and name in self.keeping[at]:
            at += 1
        return at

    def named(self, names):
        return sorted(names, key=self.order.index)

    def decided(self, at):
        keep = erase = None
        if self.keeping[at]:
            ends = {name: self.until(name, at) for name in self.keeping[at]}
            last = max(ends.values())
            keep = last, self.named(name for name in ends if ends[name] == last)
        if self.known[at]:
            first = min(self.known[at].values())
            erase = first, self.named(name for name, by in self.known[at].items() if by == first)
        if keep and erase and keep[0] > erase[0]:
            return "conflict", keep, erase
        if keep:
            return "keep", keep, None
        if self.wanting[at]:
            return "must", None, erase
        return ("may_until" if erase else "may"), None, erase


def told(case, rules):
    """Everything the crate tells of a case, in its words."""
    if case["type"] not in TYPES or all(rule["type"] != case["type"] for rule in rules["minimums"]):
        held = [rule["name"] for rule in rules["holds"] if is_selected(rule["selects"], case)
                and rule["since"] <= case["now"] and (rule["released"] is None or rule["released"] > case["now"])]
        return {"decision": "refused", "sides": {}, "next": None, "due": None, "held": held[0] if held else None}
    row, now = Row(rules, case), step(case["now"])
    here = row.decided(now)
    after = (at for at in range(now + 1, HORIZON) if row.decided(at) != here)
    due = (at for at in range(now, HORIZON) if row.decided(at)[0] == "must")
    instant = lambda at: None if at is None else at * STEP_MS
    sides = {}
    if here[1]:
        sides["keep"] = [None if here[1][0] == HORIZON else instant(here[1][0]), here[1][1]]
    if here[2]:
        sides["erase"] = [instant(here[2][0]), here[2][1]]
    return {"decision": here[0], "sides": sides, "next": instant(next(after, None)), "due": instant(next(due, None)),
            "held": next(iter(row.named(row.held[now])), None)}


def compared(line):
    """What was told of each case of a set, and where the two differ."""
    written = json.loads(line)
    kinds, differences = [], []
    for number, case in enumerate(written["cases"]):
        found = {key: case[key] for key in ("decision", "sides", "next", "due", "held")}
        own = told(case, written["rules"])
        kinds.append(own["decision"])
        if own != found:
            differences.append(f"set {written['seed']} case {number}: the crate says {found}, this {own}")
    return kinds, differences


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("file", nargs="?", type=pathlib.Path, default=TARGET / "tmp" / "retention.jsonl")
    arguments.add_argument("--sets", type=int, help="only the first so many")
    given = arguments.parse_args()
    lines = given.file.read_text().splitlines()[: given.sets]
    began, kinds, differences = time.monotonic(), collections.Counter(), []
    with multiprocessing.Pool() as pool:
        for found, wrong in pool.imap(compared, lines, chunksize=100):
            kinds.update(found)
            differences += wrong
    for difference in differences[:20]:
        print(difference)
    print(f"retention: {len(lines)} sets, {sum(kinds.values())} records, {len(differences)} differences, "
          f"{dict(sorted(kinds.items()))}, {time.monotonic() - began:.0f} s")
    return 1 if differences or not lines else 0


if __name__ == "__main__":
    sys.exit(main())

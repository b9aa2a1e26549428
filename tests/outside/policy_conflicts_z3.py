"""The conflicts of policies, reckoned again by an SMT solver and compared with those the crate finds.

    policy_conflicts_z3.py [FILE] [--sets N] [--strings-every N]

What a rule means is written again here, in SMT-LIB, from the description of the language (actors/policy/language):
nothing of the crate is read but the rules and its verdict, a JSON line for each set, as `cargo test -p bailiwick-policy
smt` writes them; BAILIWICK_SMT_SETS says how many. z3 gets every question whose answer makes a conflict ("is there a
request that both of these match?"), and what it cannot answer ends the run.

A request says for every attribute what its value is: a number in a range, one of the choices, yes or no; of a set it
says, for each text somebody asks about, whether it is in there. An attribute that may be absent is there or is not, and a
condition that asks an absent one cannot be judged, unless an earlier part of it has decided already.

A text is what the rules can tell of it: whether it is this constant, whether it begins like that prefix; `Texts.axioms`
says which of these answers go together. No more need be said, because behind any prefix there is always a character with
which no constant goes on. In one set of so many z3's own theory of strings is asked as well, where a text is a string
and there are no axioms: that is some seven times as slow.
"""
import argparse, collections, json, math, multiprocessing, os, pathlib, sys, time
import z3

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"))

# the attributes of the language, by their type
CHOICES = {
    "user.role": ["owner", "admin", "operator", "auditor", "viewer", "platform"],
    "request.weekday": ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"],
}
RANGES = {"request.hour_utc": (0, 23), "request.bytes": (0, 2**40), "request.top_k": (0, 1_000_000),
          "document.trust_percent": (0, 100), "document.bytes": (0, 2**40)}
FLAGS = {"model.fallback"}
SETS = {"user.permissions"}
TEXTS = {"document.source_host", "document.region", "document.id", "document.domain", "document.usecase",
         "model.provider", "model.name", "model.region"}
OPTIONAL_TEXTS = {"user.id", "request.domain", "request.usecase"}
FORMS = ["email", "iban", "card", "ssn", "phone", "ip_address"]

# of z3's own steps (`rlimit`), in one search: seven times what the longest of 10,000 sets takes, but for the one search in
# them that finds no end; and how often it may start anew
STEPS, SEEDS = 50_000_000, 8


class Undecided(Exception):
    """z3 gave up, and said why."""


def either(parts):
    parts = [part for part in parts if part != "false"]
    return f"(or {' '.join(parts)})" if len(parts) > 1 else parts[0] if parts else "false"


def every(*parts):
    parts = [part for part in parts if part != "true"]
    return "false" if "false" in parts else f"(and {' '.join(parts)})" if len(parts) > 1 else parts[0] if parts else "true"


def no(part):
    return {"true": "false", "false": "true"}.get(part, f"(not {part})")


class Script:
    """Declarations, definitions and axioms in the order they are made."""

    def __init__(self):
        self.lines, self.names = [], {}

    def declared(self, key, sort):
        """The variable of this key."""
        if key not in self.names:
            self.names[key] = f"v{len(self.names)}"
            self.lines.append(f"(declare-const {self.names[key]} {sort})")
        return self.names[key]

    def defined(self, name, formula):
        self.lines.append(f"(define-fun {name} () Bool {formula})")
        return name

    def holds(self, formula):
        self.lines.append(f"(assert {formula})")


class Texts:
    """Texts, as the answers to every question that is asked of them."""

    def __init__(self, script):
        self.script, self.asked = script, collections.defaultdict(dict)

    def is_one(self, name, pattern):
        answer = self.script.declared((name, "is", pattern), "Bool")
        self.asked[name][pattern] = answer
        return answer

    def axioms(self):
        for asked in self.asked.values():
            exact = {pattern: answer for pattern, answer in asked.items() if not pattern.endswith("*")}
            begins = {pattern[:-1]: answer for pattern, answer in asked.items() if pattern.endswith("*")}
            for text, answer in exact.items():
                # a text is one text only, and its beginnings are known
                yield from (no(every(answer, other)) for elsewhere, other in exact.items() if elsewhere < text)
                yield from (f"(=> {answer} {begun if text.startswith(prefix) else no(begun)})" for prefix, begun in begins.items())
            for prefix, begun in begins.items():
                if prefix == "":
                    yield begun
                for other, also in begins.items():
                    if prefix != other and prefix.startswith(other):
                        yield f"(=> {begun} {also})"
                    elif not prefix.startswith(other) and not other.startswith(prefix):
                        yield no(every(begun, also))


class Strings:
    """Texts, as strings of z3's own."""

    def __init__(self, script):
        self.script = script

    def is_one(self, name, pattern):
        value = self.script.declared((name, "value"), "String")
        constant = "".join(f"\\u{{{ord(letter):x}}}" for letter in pattern.removesuffix("*"))
        return f'(str.prefixof "{constant}" {value})' if pattern.endswith("*") else f'(= {value} "{constant}")'

    def axioms(self):
        return ()


class Request:
    """Every attribute the rules of one action ask for, and what a condition says of it."""

    def __init__(self, texts):
        self.script = Script()
        self.texts = texts(self.script)

    def is_there(self, name):
        """"true" for an attribute every request has."""
        optional = name in OPTIONAL_TEXTS or name.startswith("user.attributes.")
        return self.script.declared((name, "is there"), "Bool") if optional else "true"

    def number(self, name):
        known = (name, "value") in self.script.names
        value = self.script.declared((name, "value"), "Int")
        if not known:
            low, high = RANGES[name]
            self.script.holds(f"(<= {low} {value} {high})")
        return value

    def choice(self, name, wanted):
        known = (name, "is", CHOICES[name][0]) in self.script.names
        answers = [self.script.declared((name, "is", choice), "Bool") for choice in CHOICES[name]]
        if not known:
            self.script.holds(either(answers))
            self.script.holds(f"((_ at-most 1) {' '.join(answers)})")
        return answers[CHOICES[name].index(wanted)]

    def passes(self, name, test):
        """Whether a value that is there passes."""
        if isinstance(test, dict) and "contains" in test:
            assert name in SETS, name
            return self.script.declared((name, "contains", test["contains"]), "Bool")
        if isinstance(test, dict):
            value = self.number(name)
            bounds = [f"(>= {value} {test['at_least']})"] if "at_least" in test else []
            return every(*bounds, *([f"(<= {value} {test['at_most']})"] if "at_most" in test else []))
        constants = test if isinstance(test, list) else [test]
        if name in CHOICES:
            return either([self.choice(name, constant) for constant in constants])
        if name in FLAGS:
            value = self.script.declared((name, "value"), "Bool")
            return either([value if constant else no(value) for constant in constants])
        if name in RANGES:
            return either([f"(= {self.number(name)} {constant})" for constant in constants])
        assert name in TEXTS or name in OPTIONAL_TEXTS or name.startswith("user.attributes."), name
        return either([self.texts.is_one(name, constant) for constant in constants])

    def judged(self, condition):
        """When the condition holds, and when it cannot be judged."""
        if condition is None:
            return "true", "false"
        if isinstance(condition, list):
            return self.all_of(condition)
        if len(condition) != 1:
            return self.all_of([{key: value} for key, value in condition.items()])
        (key, value), = condition.items()
        if key == "all":
            return self.all_of(value)
        if key == "any":
            return self.any_of(value)
        if key == "not":
            holds, errs = self.judged(value)
            return every(no(holds), no(errs)), errs
        there = self.is_there(key)
        if isinstance(value, dict) and "present" in value:
            return (there if value["present"] else no(there)), "false"
        return every(there, self.passes(key, value)), no(there)

    def all_of(self, parts):
        """In turn, up to the first that does not hold: a part counts only where those before it hold."""
        before, errs = [], []
        for part in parts:
            holds, wrong = self.judged(part)
            errs.append(every(*before, wrong))
            before.append(holds)
        return every(*before), either(errs)

    def any_of(self, parts):
        """In turn, up to the first that holds: a part counts only where those before it fail."""
        before, holding, errs = [], [], []
        for part in parts:
            holds, wrong = self.judged(part)
            holding.append(every(*before, holds))
            errs.append(every(*before, wrong))
            before.append(every(no(holds), no(wrong)))
        return either(holding), either(errs)


class Rule:
    """A rule, with the names of when it holds and when it cannot be judged."""

    def __init__(self, number, written, request):
        rule = written["rule"]
        self.guardrail, self.id, self.effect = written["guardrail"], rule["id"], rule["effect"]
        self.overrides, self.obligation = set(rule.get("overrides", [])), rule.get("obligation")
        holds, errs = request.judged(rule.get("when"))
        self.holds, self.can_err = request.script.defined(f"h{number}", holds), errs != "false"
        self.errs = request.script.defined(f"e{number}", errs)


def refuses(forbid, rules):
    """Where a forbid refuses: a permit that overrides it lifts it, and nothing lifts a guardrail."""
    lifting = [other.holds for other in rules if other.effect == "permit" and forbid.id in other.overrides]
    return forbid.holds if forbid.guardrail else every(forbid.holds, no(either(lifting)))


def cap(duty):
    """Most tokens an obligation allows."""
    return duty.get("cap_tokens", math.inf) if isinstance(duty, dict) else math.inf


def named(duty, name, otherwise):
    """The number an obligation of this name says."""
    return duty.get(name, otherwise) if isinstance(duty, dict) else otherwise


def redacted(duty):
    """Forms of personal data an obligation takes out."""
    return duty.get("redact", []) if isinstance(duty, dict) else []


class Ruling:
    """What is ruled by some rules, where every one of them can be judged."""

    def __init__(self, rules, levels):
        self.forbidden = either([refuses(rule, rules) for rule in rules if rule.effect == "forbid"])
        self.permitted = every(no(self.forbidden), either([rule.holds for rule in rules if rule.effect == "permit"]))
        required = [(rule.obligation, rule.holds) for rule in rules if rule.effect == "require"]
        self.duties = [either([holds for duty, holds in required if duty == word]) for word in ("cite", "log", "approve")]
        # of several caps the lowest stands: it is at most a level where one of them is
        self.duties += [either([holds for duty, holds in required if cap(duty) <= level]) for level in levels]
        # of several numbers of sources the highest stands, of several lengths the lowest: all that random rules write
        self.duties += [either([holds for duty, holds in required if named(duty, "min_sources", 0) >= least]) for least in (2, 3)]
        self.duties += [either([holds for duty, holds in required if named(duty, "max_answer_characters", math.inf) <= most]) for most in (400, 900)]
        self.duties += [either([holds for duty, holds in required if form in redacted(duty)]) for form in FORMS]

    def differs(self, other):
        duties = either([f"(distinct {one} {two})" for one, two in zip(self.duties, other.duties) if one != two])
        moved = f"(distinct {self.permitted} {other.permitted})" if self.permitted != other.permitted else "false"
        return either([moved, every(self.permitted, duties)])


def possible(script, axioms, questions):
    """Which of several questions have an answer; one answer is tried on all of them.

    z3 starts anew for every call and once more, from another seed, where it takes more steps than any question needs:
    its searches depend on all that the process asked before, and a rare one about strings finds no end, in time or in
    memory. So what is printed depends on the sets alone, not on which process met them in which order.
    """
    asked = {f"q{number}": key for number, key in enumerate(questions)}
    lines = [*script.lines, *(f"(assert {axiom})" for axiom in axioms)]
    for name, key in asked.items():
        lines += [f"(declare-const {name} Bool)", f"(assert (= {name} {questions[key]}))"]
    reasons = []
    for seed in range(SEEDS):
        try:
            return {asked[name] for name in answered("\n".join(lines), asked, seed)}
        except Undecided as undecided:
            reasons.append(str(undecided))
    raise RuntimeError(f"z3 does not know, from any of {SEEDS} seeds: {'; '.join(reasons)}")


def answered(lines, names, seed):
    """Those of the names that are true in some answer."""
    context = z3.Context()
    solver = z3.Solver(ctx=context)
    # yes is guessed before no, so that one answer is one to many questions
    solver.set("phase_selection", 1)
    solver.set("random_seed", seed)
    solver.set("rlimit", STEPS)
    solver.from_string(lines)
    found, open_ones = set(), {name: z3.Bool(name, context) for name in names}
    while open_ones:
        solver.add(z3.Or(list(open_ones.values())))
        try:
            answer = solver.check()
        except z3.Z3Exception as failure:
            raise Undecided(failure) from failure
        if answer == z3.unsat:
            return found
        if answer != z3.sat:
            raise Undecided(solver.reason_unknown())
        model = solver.model()
        shown = [name for name, variable in open_ones.items() if z3.is_true(model[variable])]
        assert shown, "an answer answers something"
        for name in shown:
            del open_ones[name]
            found.add(name)
    return found


def findings(written, texts):
    """Every conflict of the rules of one action, as the heads of `Kind` in actors/policy/conflicts.rs define them."""
    request = Request(texts)
    rules = [Rule(number, rule, request) for number, rule in enumerate(written)]
    axioms = list(request.texts.axioms())
    pairs = [(permit, forbid) for permit in rules if permit.effect == "permit" for forbid in rules if forbid.effect == "forbid"
             if not (forbid.id in permit.overrides and not forbid.guardrail or permit.id in forbid.overrides)]
    questions = {("errs", rule.id): rule.errs for rule in rules if rule.can_err}
    questions |= {("holds", rule.id): rule.holds for rule in rules}
    questions |= {("both", permit.id, forbid.id): every(permit.holds, forbid.holds) for permit, forbid in pairs}
    yes = possible(request.script, axioms, questions)
    for rule in rules:
        if ("errs", rule.id) in yes:
            yield "can_error", rule.id, None
        if ("holds", rule.id) not in yes:
            yield "never_matches", rule.id, None
    for permit, forbid in pairs:
        if ("both", permit.id, forbid.id) in yes:
            yield ("weaker_than_guardrail" if forbid.guardrail else "overlap"), permit.id, forbid.id
    if any(key[0] == "errs" for key in yes):
        return
    levels = sorted({cap(rule.obligation) for rule in rules} - {math.inf})
    whole = Ruling(rules, levels)
    weighed = [rule for rule in rules if not rule.guardrail and ("holds", rule.id) in yes]
    questions = {}
    for rule in weighed:
        if rule.effect == "permit":
            questions["stands", rule.id] = every(rule.holds, no(whole.forbidden))
        if rule.effect == "forbid":
            questions["stands", rule.id] = refuses(rule, rules)
        without = Ruling([other for other in rules if other is not rule], levels)
        questions["counts", rule.id] = every(rule.holds, whole.differs(without))
    yes = possible(request.script, axioms, questions)
    for rule in weighed:
        if rule.effect != "require" and ("stands", rule.id) not in yes:
            yield "shadowed", rule.id, None
        elif ("counts", rule.id) not in yes:
            yield "redundant", rule.id, None


def compared(line, as_strings):
    """What differs in one set, and how many conflicts of each kind were told."""
    line = json.loads(line)
    told = {(kind, rule, other, action) for kind, rule, other, actions in line["found"] for action in actions}
    about = {action: [written for written in line["rules"] if action in written["rule"]["actions"]]
             for written in line["rules"] for action in written["rule"]["actions"]}
    differences = []
    for texts in (Texts, Strings) if as_strings else (Texts,):
        reckoned = {(*found, action) for action, written in about.items() for found in findings(written, texts)}
        differences += [f"seed {line['seed']}: z3 ({texts.__name__}) finds {found}, the crate does not" for found in reckoned - told]
        differences += [f"seed {line['seed']}: the crate finds {found}, z3 ({texts.__name__}) does not" for found in told - reckoned]
    return differences, collections.Counter(kind for kind, *_ in told)


def main():
    parser = argparse.ArgumentParser(description="The conflicts of policies, reckoned again by an SMT solver.")
    parser.add_argument("file", nargs="?", type=pathlib.Path, default=TARGET / "tmp" / "policy-conflicts.jsonl")
    parser.add_argument("--sets", type=int, help="only so many")
    parser.add_argument("--strings-every", type=int, default=20, metavar="N", help="ask one set in N with strings too; 0 for none")
    options = parser.parse_args()
    lines = options.file.read_text().splitlines()[:options.sets]
    if not lines:
        raise SystemExit(f"{options.file} has no sets: cargo test -p bailiwick-policy smt")
    every_so_many = options.strings_every
    work = [(line, bool(every_so_many) and at % every_so_many == 0) for at, line in enumerate(lines)]
    began, agree, differences, kinds = time.monotonic(), 0, [], collections.Counter()
    with multiprocessing.Pool(len(os.sched_getaffinity(0))) as pool:
        for different, told in pool.starmap(compared, work, chunksize=8):
            agree, differences, kinds = agree + (not different), differences + different, kinds + told
    for difference in differences[:20]:
        print(difference, file=sys.stderr)
    counted = ", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items()))
    print(f"policy conflicts in z3 {z3.get_version_string()}: {agree} of {len(lines)} sets agree ({sum(strings for _, strings in work)} "
          f"as strings too), {len(differences)} differences in {sum(kinds.values())} conflicts: {counted}; {time.monotonic() - began:.0f} s")
    raise SystemExit(1 if differences else 0)


if __name__ == "__main__":
    main()

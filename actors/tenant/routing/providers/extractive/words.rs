//! Words and what they have in common: lower case, stems, irregular forms, stop words, how common a word is. Pure.
use unicode_segmentation::UnicodeSegmentation;

/// Words that carry no subject of their own. In order, for the search.
const STOP_WORDS: &[&str] = &[
    "a",
    "about",
    "according",
    "after",
    "all",
    "also",
    "among",
    "an",
    "and",
    "any",
    "are",
    "aren't",
    "as",
    "at",
    "be",
    "because",
    "been",
    "before",
    "being",
    "besides",
    "between",
    "both",
    "but",
    "by",
    "can",
    "cannot",
    "could",
    "did",
    "didn't",
    "do",
    "does",
    "doesn't",
    "don't",
    "done",
    "during",
    "each",
    "either",
    "ever",
    "for",
    "from",
    "get",
    "gets",
    "got",
    "had",
    "has",
    "have",
    "having",
    "he",
    "her",
    "hers",
    "him",
    "his",
    "how",
    "i",
    "if",
    "in",
    "into",
    "is",
    "isn't",
    "it",
    "it's",
    "its",
    "itself",
    "just",
    "let's",
    "like",
    "long",
    "many",
    "may",
    "me",
    "might",
    "more",
    "most",
    "much",
    "must",
    "my",
    "no",
    "nor",
    "not",
    "of",
    "off",
    "on",
    "onto",
    "or",
    "other",
    "our",
    "out",
    "over",
    "own",
    "please",
    "s",
    "same",
    "shall",
    "she",
    "should",
    "since",
    "so",
    "some",
    "such",
    "tell",
    "than",
    "that",
    "the",
    "their",
    "theirs",
    "them",
    "themselves",
    "then",
    "there",
    "there's",
    "these",
    "they",
    "this",
    "those",
    "through",
    "to",
    "too",
    "under",
    "until",
    "up",
    "upon",
    "us",
    "very",
    "was",
    "wasn't",
    "we",
    "were",
    "weren't",
    "what",
    "what's",
    "when",
    "where",
    "whether",
    "which",
    "while",
    "who",
    "who's",
    "whom",
    "whose",
    "why",
    "will",
    "with",
    "within",
    "without",
    "would",
    "you",
    "your",
    "yours",
];

/// Words so common in questions that meeting one proves little; weighed at [`COMMON_WEIGHT`]. In order.
const COMMON_WORDS: &[&str] = &[
    "amount",
    "become",
    "began",
    "begin",
    "believe",
    "best",
    "better",
    "bring",
    "call",
    "called",
    "cause",
    "change",
    "come",
    "common",
    "consider",
    "considered",
    "current",
    "date",
    "day",
    "describe",
    "different",
    "end",
    "example",
    "explain",
    "fact",
    "find",
    "first",
    "form",
    "found",
    "general",
    "give",
    "given",
    "go",
    "good",
    "great",
    "group",
    "happen",
    "help",
    "hold",
    "important",
    "include",
    "included",
    "keep",
    "kind",
    "know",
    "known",
    "large",
    "last",
    "lead",
    "left",
    "made",
    "main",
    "make",
    "mean",
    "means",
    "method",
    "name",
    "named",
    "need",
    "new",
    "number",
    "occur",
    "old",
    "one",
    "part",
    "people",
    "percent",
    "percentage",
    "person",
    "place",
    "play",
    "provide",
    "put",
    "reason",
    "refer",
    "result",
    "role",
    "run",
    "say",
    "see",
    "set",
    "show",
    "specific",
    "start",
    "state",
    "still",
    "take",
    "term",
    "thing",
    "think",
    "time",
    "two",
    "type",
    "use",
    "used",
    "want",
    "way",
    "well",
    "word",
    "work",
    "year",
    "years",
];

/// What a common word weighs beside one with a subject.
pub const COMMON_WEIGHT: f32 = 0.4;

/// Irregular forms and pairs a stemmer does not join: form → what it is matched as. In order.
const IRREGULAR: &[(&str, &str)] = &[
    ("ate", "eat"),
    ("became", "become"),
    ("began", "begin"),
    ("begun", "begin"),
    ("birth", "born"),
    ("bought", "buy"),
    ("broke", "break"),
    ("broken", "break"),
    ("brought", "bring"),
    ("building", "build"),
    ("built", "build"),
    ("came", "come"),
    ("caught", "catch"),
    ("children", "child"),
    ("chose", "choose"),
    ("chosen", "choose"),
    ("dead", "die"),
    ("death", "die"),
    ("died", "die"),
    ("dies", "die"),
    ("drawn", "draw"),
    ("drew", "draw"),
    ("driven", "drive"),
    ("drove", "drive"),
    ("dying", "die"),
    ("eight", "8"),
    ("eleven", "11"),
    ("fallen", "fall"),
    ("fed", "feed"),
    ("feet", "foot"),
    ("fell", "fall"),
    ("felt", "feel"),
    ("five", "5"),
    ("fought", "fight"),
    ("found", "find"),
    ("founded", "foundation"),
    ("founder", "foundation"),
    ("founding", "foundation"),
    ("four", "4"),
    ("gave", "give"),
    ("given", "give"),
    ("gone", "go"),
    ("grew", "grow"),
    ("grown", "grow"),
    ("growth", "grow"),
    ("heard", "hear"),
    ("held", "hold"),
    ("high", "height"),
    ("kept", "keep"),
    ("knew", "know"),
    ("known", "know"),
    ("laid", "lay"),
    ("leader", "lead"),
    ("led", "lead"),
    ("length", "long"),
    ("lives", "life"),
    ("loss", "lose"),
    ("lost", "lose"),
    ("made", "make"),
    ("making", "make"),
    ("meant", "mean"),
    ("men", "man"),
    ("met", "meet"),
    ("mice", "mouse"),
    ("nine", "9"),
    ("paid", "pay"),
    ("percentage", "percent"),
    ("proof", "prove"),
    ("ran", "run"),
    ("risen", "rise"),
    ("rose", "rise"),
    ("said", "say"),
    ("sale", "sell"),
    ("sales", "sell"),
    ("sang", "sing"),
    ("sat", "sit"),
    ("saw", "see"),
    ("seen", "see"),
    ("sent", "send"),
    ("seven", "7"),
    ("shown", "show"),
    ("six", "6"),
    ("sold", "sell"),
    ("sought", "seek"),
    ("spent", "spend"),
    ("spoke", "speak"),
    ("spoken", "speak"),
    ("stood", "stand"),
    ("strength", "strong"),
    ("sung", "sing"),
    ("taken", "take"),
    ("taught", "teach"),
    ("teeth", "tooth"),
    ("ten", "10"),
    ("thought", "think"),
    ("three", "3"),
    ("threw", "throw"),
    ("thrown", "throw"),
    ("told", "tell"),
    ("took", "take"),
    ("tv", "television"),
    ("twelve", "12"),
    ("two", "2"),
    ("understood", "understand"),
    ("went", "go"),
    ("winner", "win"),
    ("winning", "win"),
    ("women", "woman"),
    ("won", "win"),
    ("wore", "wear"),
    ("worn", "wear"),
    ("writer", "write"),
    ("writing", "write"),
    ("written", "write"),
    ("wrote", "write"),
];

/// The words of a text with the byte they start at, as Unicode cuts them.
pub fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.unicode_word_indices()
}

/// Lower case, with one kind of apostrophe and without a possessive ending.
#[must_use]
pub fn folded(word: &str) -> String {
    let mut lower = word.to_lowercase();
    if lower.contains('’') {
        lower = lower.replace('’', "'");
    }
    let bare = lower.strip_suffix("'s").or_else(|| lower.strip_suffix('\'')).map(str::len);
    lower.truncate(bare.unwrap_or(lower.len()));
    lower
}

/// True for a folded word without a subject of its own.
#[must_use]
pub fn is_stop_word(folded: &str) -> bool {
    STOP_WORDS.binary_search(&folded).is_ok()
}

/// How much meeting a folded word proves: 1, or less where it is common.
#[must_use]
pub fn weight(folded: &str) -> f32 {
    if COMMON_WORDS.binary_search(&folded).is_ok() { COMMON_WEIGHT } else { 1.0 }
}

/// The base form of a folded word: itself, unless it is irregular.
#[must_use]
pub fn base(folded: &str) -> &str {
    let at = IRREGULAR.binary_search_by_key(&folded, |(form, _)| form).ok();
    at.and_then(|at| IRREGULAR.get(at)).map_or(folded, |(_, base)| base)
}

/// Words of one meaning have one stem. Words of other scripts stay as they are.
pub struct Stems(frostem::Stemmer);

impl Default for Stems {
    fn default() -> Self {
        Self(frostem::Stemmer::new(frostem::Algorithm::English))
    }
}

impl Stems {
    /// The stem of a base form.
    #[must_use]
    pub fn of(&self, base: &str) -> String {
        if base.starts_with(|c: char| c.is_ascii_digit()) {
            return base.strip_suffix('s').unwrap_or(base).replace(',', ""); // "1970s", "1,000"
        }
        if base.is_ascii() { self.0.stem(base).into_owned() } else { base.to_owned() }
    }
}

/// How alike two stems are: 1 the same, [`KIN`] where they share a long beginning, else 0.
#[must_use]
pub fn likeness(one: &str, other: &str) -> f32 {
    if one == other {
        return 1.0;
    }
    let shared = one.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
    let longest = one.len().max(other.len());
    let has_digit = one.bytes().any(|b| b.is_ascii_digit());
    if shared >= 5 && shared * 10 >= longest * 7 && !has_digit { KIN } else { 0.0 }
}

/// What a word of the same beginning counts beside the word itself.
pub const KIN: f32 = 0.6;

/// True where the lists are in the order the searches need.
#[cfg(test)]
pub fn is_ordered() -> bool {
    STOP_WORDS.is_sorted() && COMMON_WORDS.is_sorted() && IRREGULAR.is_sorted()
}

//! What words tell of a sentence or a question whatever is asked for: figures, denials, the language. Pure.
use super::cues::is_year;

/// Words that deny, folded.
const DENIALS: &[&str] = &[
    "not",
    "no",
    "never",
    "none",
    "without",
    "cannot",
    "neither",
    "nor",
    "unclear",
    "unknown",
    "undisclosed",
    "insufficient",
    "lack",
    "lacks",
    "absent",
];

/// Words a source weighs its own word with, or names where it has it from, folded.
const WEIGHING: &[&str] = &[
    "however",
    "although",
    "while",
    "but",
    "whereas",
    "despite",
    "suggest",
    "suggests",
    "suggested",
    "may",
    "might",
    "could",
    "study",
    "studies",
    "found",
    "report",
    "reports",
    "reported",
    "according",
    "estimate",
    "estimates",
    "estimated",
    "percent",
];

/// Words that ask for what is so at the moment, folded.
const PRESENT: &[&str] = &["current", "currently", "latest", "today", "now", "recent", "recently", "upcoming", "next"];

/// Words that ask for no less than the exact thing, folded.
const EXACT: &[&str] =
    &["specific", "specifically", "exact", "exactly", "precise", "precisely", "each", "breakdown", "list"];

/// Nouns that name a figure or a detail: whoever asks for one is not served by a text that does not name it. Folded.
const MEASURES: &[&str] = &[
    "rate",
    "rates",
    "average",
    "percentage",
    "ratio",
    "population",
    "price",
    "prices",
    "cost",
    "costs",
    "salary",
    "salaries",
    "dosage",
    "dose",
    "score",
    "scores",
    "size",
    "speed",
    "density",
    "weight",
    "temperature",
    "budget",
    "fee",
    "fees",
    "penalty",
    "penalties",
    "revenue",
    "turnover",
    "minimum",
    "maximum",
    "intake",
    "deadline",
    "breakdown",
    "specifications",
    "ingredients",
    "requirements",
    "limit",
    "limits",
    "exact",
    "specific",
    "formula",
    "version",
    "probability",
    "survival",
    "statistics",
    "premium",
    "demographic",
    "demographics",
    "earnings",
    "mechanism",
    "side",
    "steps",
    "step",
    "procedure",
    "number",
    "amount",
    "schedule",
    "address",
    "lifespan",
    "duration",
    "age",
    "height",
    "length",
    "frequency",
    "efficiency",
    "capacity",
    "margin",
    "yield",
    "volume",
    "mortality",
    "prevalence",
];

/// Words that English questions hold and those of other languages that write with these letters hardly do, folded.
const ENGLISH: &[&str] = &[
    "the", "of", "what", "which", "who", "whom", "whose", "how", "when", "where", "why", "is", "are", "were", "does",
    "did", "do", "should", "would", "could", "have", "has", "with", "from", "for", "and", "to",
];

/// What one word tells of the sentence it stands in, whatever is asked for; as counts, so that they add up.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Texture {
    /// Words that open with a digit.
    pub digits: u32,
    /// The same, which the question does not hold.
    pub new_digits: u32,
    /// Words that open with a capital.
    pub capitals: u32,
    /// Words that deny.
    pub denials: u32,
    /// Words a source weighs its word with.
    pub weighing: u32,
}

impl Texture {
    /// What one word tells. `asked` where the question holds it already.
    #[must_use]
    pub fn of(word: &str, folded: &str, asked: bool) -> Self {
        let is_digit = word.starts_with(|c: char| c.is_ascii_digit());
        Self {
            digits: u32::from(is_digit),
            new_digits: u32::from(is_digit && !asked),
            capitals: u32::from(word.starts_with(char::is_uppercase)),
            denials: u32::from(DENIALS.contains(&folded) || folded.ends_with("n't")),
            weighing: u32::from(WEIGHING.contains(&folded)),
        }
    }

    /// Adds the words counted elsewhere.
    pub fn join(&mut self, other: Self) {
        self.digits += other.digits;
        self.new_digits += other.new_digits;
        self.capitals += other.capitals;
        self.denials += other.denials;
        self.weighing += other.weighing;
    }
}

/// True for a folded word that asks for what is so at the moment.
#[must_use]
pub fn is_present(folded: &str) -> bool {
    PRESENT.contains(&folded)
}

/// True for a folded word that asks for no less than the exact thing.
#[must_use]
pub fn is_exact(folded: &str) -> bool {
    EXACT.contains(&folded)
}

/// True for a folded word that names a figure or a detail.
#[must_use]
pub fn is_measure(folded: &str) -> bool {
    MEASURES.contains(&folded)
}

/// True for a folded word that English questions hold and those of other languages hardly do.
#[must_use]
pub fn is_english(folded: &str) -> bool {
    ENGLISH.contains(&folded)
}

/// The year a word names.
#[must_use]
pub fn year(word: &str) -> Option<u16> {
    if is_year(word) { word.strip_suffix('s').unwrap_or(word).parse().ok() } else { None }
}

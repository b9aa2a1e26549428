//! What kind of thing a question asks for, and which words look like it. Pure.
use super::words::{folded, words};

/// What a question asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wanted {
    /// Somebody.
    Person,
    /// A point in time.
    Date,
    /// A place.
    Place,
    /// A number, share or amount.
    Number,
    /// Why something is so.
    Reason,
    /// How something is done or is.
    Manner,
    /// A yes or a no.
    Verdict,
    /// Anything else.
    Thing,
}

/// Months and days of the week, folded.
const CALENDAR: &[&str] = &[
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
];

/// Words of time that are no number, folded.
const TIMES: &[&str] = &[
    "century",
    "centuries",
    "decade",
    "bc",
    "bce",
    "ad",
    "yesterday",
    "today",
    "tomorrow",
    "annually",
    "daily",
    "weekly",
    "monthly",
    "era",
    "midnight",
    "noon",
    "spring",
    "summer",
    "autumn",
    "winter",
];

/// Number words, folded.
const NUMBERS: &[&str] = &[
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
    "twenty",
    "thirty",
    "forty",
    "fifty",
    "sixty",
    "seventy",
    "eighty",
    "ninety",
    "hundred",
    "thousand",
    "million",
    "billion",
    "trillion",
    "dozen",
    "half",
    "third",
    "quarter",
    "twice",
    "once",
    "one",
    "zero",
    "double",
    "triple",
];

/// Words that give a reason, folded.
const REASONS: &[&str] = &[
    "because",
    "due",
    "since",
    "therefore",
    "thus",
    "reason",
    "reasons",
    "cause",
    "caused",
    "causes",
    "causing",
    "so",
    "as",
    "result",
    "resulted",
    "resulting",
    "led",
    "order",
    "owing",
    "prevent",
    "avoid",
    "ensure",
    "allow",
    "allows",
];

/// Prepositions a place follows, folded.
const PLACE_MARKS: &[&str] =
    &["in", "at", "near", "from", "to", "of", "on", "north", "south", "east", "west", "city", "river"];

/// Nouns after *what* or *which* that say what is wanted.
const NOUNS: &[(&str, Wanted)] = &[
    ("year", Wanted::Date),
    ("years", Wanted::Date),
    ("date", Wanted::Date),
    ("day", Wanted::Date),
    ("month", Wanted::Date),
    ("decade", Wanted::Date),
    ("century", Wanted::Date),
    ("time", Wanted::Date),
    ("percentage", Wanted::Number),
    ("percent", Wanted::Number),
    ("number", Wanted::Number),
    ("amount", Wanted::Number),
    ("proportion", Wanted::Number),
    ("fraction", Wanted::Number),
    ("price", Wanted::Number),
    ("cost", Wanted::Number),
    ("rate", Wanted::Number),
    ("population", Wanted::Number),
    ("size", Wanted::Number),
    ("length", Wanted::Number),
    ("height", Wanted::Number),
    ("distance", Wanted::Number),
    ("age", Wanted::Number),
    ("score", Wanted::Number),
    ("temperature", Wanted::Number),
    ("city", Wanted::Place),
    ("cities", Wanted::Place),
    ("country", Wanted::Place),
    ("countries", Wanted::Place),
    ("place", Wanted::Place),
    ("location", Wanted::Place),
    ("region", Wanted::Place),
    ("continent", Wanted::Place),
    ("town", Wanted::Place),
    ("river", Wanted::Place),
    ("island", Wanted::Place),
    ("person", Wanted::Person),
    ("player", Wanted::Person),
    ("president", Wanted::Person),
    ("king", Wanted::Person),
    ("leader", Wanted::Person),
    ("scientist", Wanted::Person),
    ("actor", Wanted::Person),
    ("author", Wanted::Person),
    ("artist", Wanted::Person),
    ("reason", Wanted::Reason),
    ("reasons", Wanted::Reason),
    ("cause", Wanted::Reason),
];

/// Verbs that show that the word before them asks.
const AUXILIARIES: &[&str] = &[
    "is", "are", "was", "were", "do", "does", "did", "can", "could", "should", "has", "have", "had", "will", "would",
    "may", "might", "must",
];

/// What a question asks for, by its question word wherever it stands.
#[must_use]
pub fn wanted(question: &str) -> Wanted {
    let all: Vec<String> = words(question).map(|(_, word)| folded(word)).collect();
    let next = |at: usize, by: usize| all.get(at + by).map_or("", String::as_str);
    let mut by_clause = None;
    for (at, word) in all.iter().enumerate() {
        let clause = match word.as_str() {
            "who" | "whom" | "whose" => return Wanted::Person,
            "why" => return Wanted::Reason,
            "how" => return how(next(at, 1)),
            "what" | "which" => return (1..=3).find_map(|by| noun(next(at, by))).unwrap_or(Wanted::Thing),
            "when" => Wanted::Date,
            "where" => Wanted::Place,
            _ => continue,
        };
        // "When did it rain?" asks; "When it rains, who is called?" only says when
        if AUXILIARIES.contains(&next(at, 1)) {
            return clause;
        }
        by_clause = by_clause.or(Some(clause));
    }
    let is_verdict = all.first().is_some_and(|word| AUXILIARIES.contains(&word.as_str()));
    by_clause.unwrap_or(if is_verdict { Wanted::Verdict } else { Wanted::Thing })
}

/// What *how …* asks for.
fn how(next: &str) -> Wanted {
    match next {
        "many" | "much" | "long" | "old" | "far" | "tall" | "high" | "large" | "big" | "deep" | "often" | "fast"
        | "wide" | "heavy" | "early" | "late" | "soon" | "hot" | "cold" | "few" | "frequently" | "quickly" => {
            Wanted::Number
        }
        _ => Wanted::Manner,
    }
}

fn noun(word: &str) -> Option<Wanted> {
    NOUNS.iter().find(|(noun, _)| *noun == word).map(|(_, wanted)| *wanted)
}

/// How many words of a sentence look like what is wanted. Names, numbers and dates that the question holds already do
/// not count: they cannot be the answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Shapes {
    /// Capitalised inside the sentence; for a person or a place.
    pub names: u32,
    /// Digits or number words; for a number.
    pub numbers: u32,
    /// Years, months, weekdays; for a date.
    pub dates: u32,
    /// Words that may stand before a place; for a place.
    pub place_marks: u32,
    /// Words that give a reason; for a reason.
    pub reasons: u32,
}

impl Shapes {
    /// What one word inside a sentence looks like. `asked` where the question holds it already.
    #[must_use]
    pub fn of(word: &str, folded: &str, asked: bool, wanted: Wanted) -> Self {
        let is_capital = word.starts_with(char::is_uppercase);
        let names = u32::from(!asked && is_capital && folded != "i");
        match wanted {
            Wanted::Person => Self { names, ..Self::default() },
            Wanted::Place => Self { names, place_marks: u32::from(PLACE_MARKS.contains(&folded)), ..Self::default() },
            Wanted::Date => {
                let is_date = is_year(word) || TIMES.contains(&folded) || (is_capital && CALENDAR.contains(&folded));
                Self { dates: u32::from(!asked && is_date), ..Self::default() }
            }
            Wanted::Number => {
                let is_number = word.bytes().any(|b| b.is_ascii_digit()) || NUMBERS.contains(&folded);
                Self { numbers: u32::from(!asked && is_number), ..Self::default() }
            }
            Wanted::Reason => Self { reasons: u32::from(REASONS.contains(&folded)), ..Self::default() },
            Wanted::Manner | Wanted::Verdict | Wanted::Thing => Self::default(),
        }
    }

    /// The same word where it opens the sentence: its capital means nothing.
    #[must_use]
    pub fn opening(self) -> Self {
        Self { names: 0, ..self }
    }

    /// Adds the words counted elsewhere.
    pub fn join(&mut self, other: Self) {
        self.names += other.names;
        self.numbers += other.numbers;
        self.dates += other.dates;
        self.place_marks += other.place_marks;
        self.reasons += other.reasons;
    }

    /// True where the sentence holds something of the wanted kind.
    #[must_use]
    pub fn offers(&self, wanted: Wanted) -> bool {
        match wanted {
            Wanted::Person => self.names > 0,
            Wanted::Date => self.dates > 0,
            Wanted::Place => self.names > 0 && self.place_marks > 0,
            Wanted::Number => self.numbers > 0,
            Wanted::Reason => self.reasons > 0,
            Wanted::Manner | Wanted::Verdict | Wanted::Thing => true,
        }
    }
}

/// True for `1066`, `2015`, `1990s`.
#[must_use]
pub fn is_year(word: &str) -> bool {
    let digits = word.strip_suffix('s').unwrap_or(word);
    digits.len() == 4 && digits.bytes().all(|b| b.is_ascii_digit()) && digits.starts_with(['1', '2'])
}

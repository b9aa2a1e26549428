//! Makes a follow-up question whole: *and in winter?*, *when was it built?* become questions that say themselves what they
//! are about. Rules over the words, for English; a question that no rule understands stays as it is. Pure.

/// Words of a fragment at most; more say something of their own.
const FRAGMENT_WORDS_MAX: usize = 6;

/// Words that tie a question to the one before it and say nothing themselves.
const TIES: &[&str] = &["and", "but", "also", "so", "then", "or", "ok", "okay", "now", "well"];

/// What stands before a fragment.
const OPENERS: &[[&str; 2]] = &[["what", "about"], ["how", "about"]];

/// Pronouns that stand for what was spoken of.
const PRONOUNS: &[&str] = &["it", "they", "them", "he", "him", "she"];

/// Pronouns that stand for whose something is.
const POSSESSIVES: &[&str] = &["its", "their", "his", "her"];

/// What follows an `it` that stands for nothing: *is it possible to …*.
const EXPLETIVES: &[&str] = &[
    "possible",
    "allowed",
    "necessary",
    "true",
    "legal",
    "illegal",
    "ok",
    "okay",
    "better",
    "best",
    "worth",
    "safe",
    "important",
    "rains",
    "snows",
];

/// Prepositions a fragment begins with.
const PREPOSITIONS: &[&str] = &[
    "in", "on", "at", "for", "by", "from", "with", "during", "after", "before", "under", "without", "to", "of",
    "since", "until", "near", "outside", "inside",
];

/// Words a noun follows.
const DETERMINERS: &[&str] = &["the", "a", "an", "our", "my", "your"];

/// Verbs that show that a sentence is whole, or where a noun ends.
const VERBS: &[&str] = &[
    "is", "are", "was", "were", "do", "does", "did", "can", "could", "should", "has", "have", "had", "will", "would",
    "may", "might", "must", "be", "been", "get", "gets", "apply", "applies",
];

/// Verbs another verb follows: *does the museum open*.
const HELPERS: &[&str] = &["do", "does", "did", "can", "could", "should", "will", "would", "may", "might", "must"];

/// Question words.
const ASKING: &[&str] = &["what", "which", "who", "whom", "whose", "how", "when", "where", "why"];

/// Words that join names to one.
const JOINTS: &[&str] = &["of", "the", "de", "von", "van"];

/// The question as a whole one, where it leans on what was asked before; `earlier` are whole questions, oldest first.
/// `None` where it stands alone, or nothing before says what it is about.
#[must_use]
pub fn understood(question: &str, earlier: &[String]) -> Option<String> {
    let words: Vec<&str> = question.split_whitespace().collect();
    let untied = untied(&words);
    let previous = earlier.last()?;
    if let Some(fragment) = fragment(&words, untied) {
        return merged(previous, fragment);
    }
    let at = untied.iter().enumerate().find(|(at, word)| refers(word, untied.get(at + 1).copied()))?.0;
    let topic = earlier.iter().rev().find_map(|question| topic(question))?;
    let word = untied.get(at)?;
    let is_possessive = POSSESSIVES.contains(&bare(word).as_str());
    let ending = word.trim_start_matches(|c: char| c.is_alphanumeric());
    let said = if is_possessive { format!("{topic}'s{ending}") } else { format!("{topic}{ending}") };
    let parts = untied.iter().enumerate().map(|(place, word)| if place == at { said.as_str() } else { word });
    Some(capitalised(&parts.collect::<Vec<_>>().join(" ")))
}

/// All questions of a conversation as whole ones, oldest first.
#[must_use]
pub fn all_understood<'q>(questions: impl IntoIterator<Item = &'q String>) -> Vec<String> {
    questions.into_iter().fold(Vec::new(), |mut whole, question| {
        let said = understood(question, &whole).unwrap_or_else(|| question.clone());
        whole.push(said);
        whole
    })
}

/// A word in lower case, without the marks around it.
fn bare(word: &str) -> String {
    word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase()
}

fn is_in(list: &[&str], word: &str) -> bool {
    list.contains(&bare(word).as_str())
}

/// The words without those that only tie them to what was said.
fn untied<'w, 'q>(words: &'w [&'q str]) -> &'w [&'q str] {
    let ties = words.iter().take_while(|word| is_in(TIES, word)).count();
    words.get(ties..).unwrap_or_default()
}

/// What is put in the place of something said before: *in winter*, *Berlin*. A question without a tie is one of its own,
/// unless it begins as no question does.
fn fragment<'w, 'q>(words: &'w [&'q str], untied: &'w [&'q str]) -> Option<&'w [&'q str]> {
    let begins = |opener: &&[&str; 2]| {
        untied.iter().zip(opener.iter()).filter(|(word, part)| bare(word) == **part).count() == opener.len()
    };
    let opened = OPENERS.iter().find(begins).map_or(untied, |opener| untied.get(opener.len()..).unwrap_or_default());
    let is_tied = opened.len() < words.len();
    let leans = is_tied || untied.first().is_some_and(|word| is_in(PREPOSITIONS, word));
    let says = opened.iter().any(|word| is_in(VERBS, word) || is_in(ASKING, word));
    (leans && !says && !opened.is_empty() && opened.len() <= FRAGMENT_WORDS_MAX).then_some(opened)
}

/// True where a word stands for something said before.
fn refers(word: &str, next: Option<&str>) -> bool {
    let is_expletive = bare(word) == "it" && next.is_some_and(|next| is_in(EXPLETIVES, next));
    (is_in(PRONOUNS, word) || is_in(POSSESSIVES, word)) && !is_expletive
}

/// The question before with a fragment in the place of what it is put for, else behind it.
fn merged(previous: &str, fragment: &[&str]) -> Option<String> {
    let words: Vec<&str> = previous.trim_end_matches(['?', '.', '!', ' ']).split_whitespace().collect();
    let said = fragment.join(" ");
    let said = said.trim_end_matches(['?', '.', '!', ' ']);
    let first = fragment.first()?;
    if fragment.iter().all(|word| is_in(PRONOUNS, word)) {
        return Some(previous.to_owned());
    }
    let place = if is_in(PREPOSITIONS, first) {
        words.iter().rposition(|word| bare(word) == bare(first)).map(|at| at..words.len())
    } else if first.starts_with(char::is_uppercase) {
        name(&words)
    } else if is_in(DETERMINERS, first) {
        noun(&words)
    } else {
        None
    };
    let place = place.unwrap_or(words.len()..words.len());
    let (before, behind) = (words.get(..place.start)?, words.get(place.end..)?);
    let parts = before.iter().copied().chain([said]).chain(behind.iter().copied());
    Some(format!("{}?", parts.collect::<Vec<_>>().join(" ")))
}

/// What a question is about: its last name, else its first noun with all that belongs to it.
fn topic(question: &str) -> Option<String> {
    let words: Vec<&str> = question.split_whitespace().collect();
    let place = name(&words).or_else(|| noun(&words))?;
    let said = words.get(place)?.join(" ");
    let said = said.trim_matches(|c: char| !c.is_alphanumeric() && c != ')');
    let said = said.strip_suffix("'s").or_else(|| said.strip_suffix("’s")).unwrap_or(said);
    (!said.is_empty()).then(|| said.to_owned())
}

/// Where the last name stands: words with capitals, but for the one that opens the question.
fn name(words: &[&str]) -> Option<std::ops::Range<usize>> {
    let is_name =
        |at: usize| at > 0 && words.get(at).is_some_and(|word| word.starts_with(char::is_uppercase) && *word != "I");
    let end = (1..words.len()).rfind(|at| is_name(*at))? + 1;
    let mut start = end - 1;
    while let Some(before) = start.checked_sub(1) {
        let joins =
            words.get(before).is_some_and(|word| JOINTS.contains(word)) && before.checked_sub(1).is_some_and(is_name);
        match (is_name(before), joins) {
            (true, _) => start = before,
            (false, true) => start = before - 1,
            (false, false) => break,
        }
    }
    Some(start..end)
}

/// Where the first noun stands, from its determiner on, with what it is *of*.
fn noun(words: &[&str]) -> Option<std::ops::Range<usize>> {
    let start = words.iter().position(|word| is_in(DETERMINERS, word))?;
    let ends = |word: &&str| {
        (is_in(PREPOSITIONS, word) && bare(word) != "of")
            || is_in(VERBS, word)
            || is_in(ASKING, word)
            || is_in(TIES, word)
    };
    let long = words.iter().skip(start).take_while(|word| !ends(word)).count();
    let reaches_end = start + long == words.len();
    // the verb of "when does the museum open?" belongs to the helper before the noun
    let is_helped = words.get(..start)?.last().is_some_and(|word| is_in(HELPERS, word));
    let long = if is_helped && reaches_end && long > 2 { long - 1 } else { long };
    (long > 1).then_some(start..start + long)
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

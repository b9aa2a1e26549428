//! Decides whether the passages support an answer at all. Retrieval scores cannot tell (they measure nearness, not
//! support), so this looks at the words. An English question is judged by a fitted scorer over many figures
//! ([`super::doubts`]); one in another language by four of them that need no list of words: what of the question the
//! best sentence meets, and whether its numbers and names occur where the answer stands. Pure.
use super::doubts::doubt;
use super::reading::{Reading, Term};
use super::signals::signals;

/// True where the passages say enough for an answer with the given line.
#[must_use]
pub fn is_supported(reading: &Reading, best: usize) -> bool {
    if !reading.asked.is_english {
        return support(reading, best).suffices();
    }
    let signals = signals(reading);
    // the scorer was fitted on passages a search had found: it never saw any that share no word with their question
    signals.anywhere > 0.0 && doubt(&signals) <= 0.0
}

/// How far the best sentence and the passages carry the question. Each share weighs a term by what meeting it proves and
/// lies between 0 and 1; it is 1 where the question has no such term.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Support {
    /// Share of the terms the sentence meets.
    sentence: f32,
    /// Share of the terms the sentence and its neighbours meet.
    nearby: f32,
    /// Share of the names the passage meets; a name met by the document's title alone counts half.
    names: f32,
    /// Share of the numbers met in any passage.
    numbers: f32,
}

/// More doubt than this and there is no answer. Set, with [`NEARBY_MIN`], where two of a hundred right answers of
/// XQuAD-en are lost.
const DOUBT_MAX: f32 = 2.1;
/// With less of the question near the sentence there is no answer.
const NEARBY_MIN: f32 = 0.3;
/// What a name counts that only the title meets.
const TITLE_SHARE: f32 = 0.5;

impl Support {
    /// How doubtful an answer is, 0 to 4.9. The weights were fitted (logistic regression) on one half of the fitz-gov
    /// questions and rounded.
    fn doubt(&self) -> f32 {
        1.6 * (1.0 - self.sentence) + 0.5 * (1.0 - self.nearby) + 1.2 * (1.0 - self.names) + 1.6 * (1.0 - self.numbers)
    }

    /// True where there is enough to answer.
    fn suffices(&self) -> bool {
        self.doubt() <= DOUBT_MAX && self.nearby >= NEARBY_MIN
    }
}

/// The support for answering with the given line.
fn support(reading: &Reading, best: usize) -> Support {
    let terms = &reading.asked.terms;
    let Some(line) = reading.lines.get(best) else {
        return Support { sentence: 0.0, nearby: 0.0, names: 0.0, numbers: 0.0 };
    };
    let of_passage = |at: usize| reading.lines.get(at).filter(|other| other.passage == line.passage);
    let around = [best.checked_sub(1).and_then(of_passage), Some(line), of_passage(best + 1)];
    let text =
        best_met(terms.len(), reading.lines.iter().filter(|other| other.passage == line.passage).map(|l| &l.met));
    let title = reading.titles.get(line.passage).map_or(&[][..], Vec::as_slice);
    let named: Vec<f32> = text.iter().zip(title).map(|(text, title)| text.max(title * TITLE_SHARE)).collect();
    Support {
        sentence: share(terms, &line.met, |_| true),
        nearby: share(terms, &best_met(terms.len(), around.into_iter().flatten().map(|l| &l.met)), |_| true),
        names: share(terms, &named, |term| term.is_name && !term.is_number),
        numbers: share(terms, &best_met(terms.len(), reading.lines.iter().map(|l| &l.met)), |term| term.is_number),
    }
}

/// Per term: how well any of the lines meets it.
fn best_met<'r>(terms: usize, lines: impl Iterator<Item = &'r Vec<f32>>) -> Vec<f32> {
    lines.fold(vec![0.0; terms], |most, met| most.iter().zip(met).map(|(one, other)| one.max(*other)).collect())
}

fn share(terms: &[Term], met: &[f32], counts: impl Fn(&Term) -> bool) -> f32 {
    let (mut got, mut whole) = (0.0, 0.0);
    for (term, met) in terms.iter().zip(met).filter(|(term, _)| counts(term)) {
        got += term.weight * met;
        whole += term.weight;
    }
    if whole > 0.0 { got / whole } else { 1.0 }
}

/// Says why there is no answer, as a sentence: names what the passages do not hold, numbers and names first.
#[must_use]
pub fn reason(reading: &Reading) -> String {
    let met = best_met(reading.asked.terms.len(), reading.lines.iter().map(|line| &line.met));
    let missing = |counts: &dyn Fn(&Term) -> bool| {
        let terms = reading.asked.terms.iter().zip(&met);
        let words = terms.filter(|(term, met)| **met == 0.0 && counts(term)).map(|(term, _)| term.written.as_str());
        let quoted: Vec<String> = words.take(WORDS_NAMED_MAX).map(|word| format!("“{}”", shown(word))).collect();
        quoted.join(", ")
    };
    let exact = missing(&|term| term.is_number || term.is_name);
    let words = if exact.is_empty() { missing(&|_| true) } else { exact };
    if words.is_empty() {
        String::from(
            "The passages found use the question's words, but no sentence brings enough of them together to answer it.",
        )
    } else {
        format!("The passages found do not mention {words}.")
    }
}

/// Words of the question a reason names, at most.
const WORDS_NAMED_MAX: usize = 4;
/// Characters of a word a reason shows, at most.
const WORD_CHARS_MAX: usize = 40;

fn shown(word: &str) -> String {
    word.chars().take(WORD_CHARS_MAX).collect()
}

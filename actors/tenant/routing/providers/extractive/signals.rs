//! What the words of a question and its passages tell about whether there is an answer: figures of their own, weighed
//! elsewhere. Pure. Shares weigh a question word by what meeting it proves; they are 1 where the question has no such
//! word. *Relevant* are the passages that meet nearly as much of the question as the one that meets most: a figure must
//! not change because retrieval brought a stranger along.
mod rarity;

use super::cues::Wanted;
use super::reading::{Line, Reading, Term};

/// A passage is relevant from this share of what the best one meets.
const RELEVANT_SHARE: f32 = 0.7;
/// A sentence may hold the answer from this share of what the best one meets.
const NEAR_SHARE: f32 = 0.6;
/// What a word counts that only the document's title meets.
const TITLE_SHARE: f32 = 0.5;
/// Words between two words that still stand together.
const TOGETHER_WORDS: usize = 3;
/// A sentence shorter than this counts as this long where density is asked.
const DENSE_WORDS_MIN: usize = 4;

/// Names each figure once: the struct, the list of names and the list of values cannot disagree.
macro_rules! signals {
    ($($(#[doc = $doc:literal])+ $name:ident,)+) => {
        /// The figures of one question.
        #[derive(Clone, Copy, PartialEq, Debug, Default)]
        pub struct Signals { $($(#[doc = $doc])+ pub $name: f32,)+ }

        /// How many figures there are.
        pub const COUNT: usize = [$(stringify!($name)),+].len();

        /// Their names, in the order of [`Signals::values`].
        pub const NAMES: [&str; COUNT] = [$(stringify!($name)),+];

        impl Signals {
            /// The figures in the order the scorer knows them by.
            #[must_use]
            pub fn values(&self) -> [f32; COUNT] { [$(self.$name),+] }
        }
    };
}

signals! {
    /// Share of the question met in the passage that meets most.
    passage,
    /// The same, in the passage after it.
    passage_next,
    /// The same, on average over the relevant passages.
    passage_mean,
    /// Relevant passages.
    relevant,
    /// Share of the question met anywhere.
    anywhere,
    /// Share met in the sentence that meets most.
    sentence,
    /// Share met in three sentences in a row.
    window,
    /// The smaller of the shares of names and of other words met in three sentences in a row.
    joint,
    /// Share of names met anywhere.
    names,
    /// Share of names met in one relevant passage.
    names_passage,
    /// Share of numbers met anywhere.
    numbers,
    /// Share of the other words met anywhere.
    others,
    /// Weight of the words met nowhere.
    missing,
    /// Names met nowhere.
    missing_names,
    /// Numbers met nowhere.
    missing_numbers,
    /// Weight of the other words met nowhere.
    missing_others,
    /// Words that name a figure or a detail, met nowhere.
    missing_measures,
    /// The largest share of such words met within three sentences in a row that meet at least half of the question.
    measure_near,
    /// Characters of the longest other word met nowhere: long words are rare words.
    missing_chars,
    /// Share of neighbouring words that stand together somewhere.
    pairs,
    /// Weight of neighbouring words that stand together nowhere.
    missing_pairs,
    /// How well the first word with a subject is met.
    first,
    /// How well the last one is met.
    last,
    /// How well the first word that is no name, no number and not common is met: mostly what is asked for.
    focus,
    /// Weight of the question.
    weight,
    /// Names in the question.
    asked_names,
    /// Numbers in the question.
    asked_numbers,
    /// Weight of its other words.
    asked_others,
    /// 1 where it asks for what is so at the moment.
    asks_present,
    /// 1 where it asks for the exact thing.
    asks_exact,
    /// 1 where it asks for a yes or a no.
    asks_verdict,
    /// 1 where it asks why.
    asks_reason,
    /// 1 where it asks how.
    asks_manner,
    /// 1 where it asks for a thing.
    asks_thing,
    /// 1 where it asks for a number.
    asks_number,
    /// 1 where it asks for somebody, a place or a date.
    asks_name,
    /// 1 where no near sentence holds the kind of thing asked for.
    offers_none,
    /// 1 where the sentence that meets most holds it.
    offers_best,
    /// Share of the sentences of relevant passages that hold it.
    offers_share,
    /// Words of relevant passages that meet the question, of all their words.
    density,
    /// The same in the densest sentence.
    density_best,
    /// Words that meet the question, a sentence of relevant passages.
    hits,
    /// Share of their words that are digits.
    digits,
    /// Share of their words that open with a capital.
    capitals,
    /// Words that deny, a sentence of them.
    denials,
    /// Words that weigh, a sentence of them.
    weighing,
    /// 1 where the best sentence holds a number the question does not.
    new_digits,
    /// Years the relevant passages name.
    years,
    /// 1 where the question names a year that no relevant passage names.
    year_missing,
    /// The same, where they name another.
    year_other,
    /// Share of the question met in the passage that meets most, each word weighed by how rare it is in English.
    rare_passage,
    /// The same, in the passage after it.
    rare_passage_next,
    /// The same, met anywhere.
    rare_anywhere,
    /// The same, met in the sentence that meets most.
    rare_sentence,
    /// The same, in the sentence after it.
    rare_sentence_next,
    /// Rarity of the rarest word met nowhere.
    missing_rarest,
    /// Rarity of the rarest word that the passage that meets most lacks.
    missing_rarest_passage,
    /// Rarity of all words met nowhere.
    missing_rare,
    /// Rarity of all words that the passage that meets most lacks.
    missing_rare_passage,
    /// Share of the question, by rarity, that one passage alone meets.
    rare_once,
    /// The same, where that is the passage that meets most.
    rare_once_passage,
    /// Score of the best passage as BM25 counts, with rarities in the place of a corpus, for each rarity of the question.
    scored,
    /// Score of the passage after it, as a share of it.
    scored_next,
    /// Rarity of all words of the question.
    rarity,
    /// The same, on average.
    rarity_mean,
    /// Words that open with a capital within a sentence and are none of the question's, of all words.
    strangers,
}

/// The figures of a question that was read.
#[must_use]
pub fn signals(reading: &Reading) -> Signals {
    let seen = Seen::of(reading);
    let mut signals = Signals::default();
    seen.coverage(&mut signals);
    seen.gaps(&mut signals);
    seen.asked(&mut signals);
    seen.offers(&mut signals);
    seen.texture(&mut signals);
    seen.rarities(&mut signals);
    signals
}

/// What was read, and which of it is relevant.
struct Seen<'r> {
    reading: &'r Reading,
    terms: &'r [Term],
    /// Per passage: how well each term is met.
    passages: Vec<Vec<f32>>,
    /// Per term: how well it is met anywhere.
    anywhere: Vec<f32>,
    relevant: Vec<bool>,
}

fn is_name(term: &Term) -> bool {
    term.is_name && !term.is_number
}

fn is_other(term: &Term) -> bool {
    !term.is_name && !term.is_number
}

fn any(_: &Term) -> bool {
    true
}

/// The better of two, term by term.
fn better(one: &[f32], other: &[f32]) -> Vec<f32> {
    one.iter().zip(other).map(|(one, other)| one.max(*other)).collect()
}

fn one_if(holds: bool) -> f32 {
    if holds { 1.0 } else { 0.0 }
}

fn largest(values: impl Iterator<Item = f32>) -> f32 {
    values.fold(0.0, f32::max)
}

impl<'r> Seen<'r> {
    fn of(reading: &'r Reading) -> Self {
        let terms = reading.asked.terms.as_slice();
        let mut passages: Vec<Vec<f32>> =
            reading.titles.iter().map(|title| title.iter().map(|met| met * TITLE_SHARE).collect()).collect();
        for line in &reading.lines {
            if let Some(met) = passages.get_mut(line.passage) {
                *met = better(met, &line.met);
            }
        }
        let anywhere = passages.iter().fold(vec![0.0; terms.len()], |most, met| better(&most, met));
        let mut seen = Self { reading, terms, passages, anywhere, relevant: Vec::new() };
        let shares: Vec<f32> = seen.passages.iter().map(|met| seen.share(met, any)).collect();
        let least = largest(shares.iter().copied()) * RELEVANT_SHARE;
        seen.relevant = shares.iter().map(|share| *share >= least).collect();
        seen
    }

    fn share(&self, met: &[f32], counts: impl Fn(&Term) -> bool) -> f32 {
        let (mut got, mut whole) = (0.0, 0.0);
        for (term, met) in self.terms.iter().zip(met).filter(|(term, _)| counts(term)) {
            got += term.weight * met;
            whole += term.weight;
        }
        if whole > 0.0 { got / whole } else { 1.0 }
    }

    /// Weight of the terms that count.
    fn weight(&self, counts: impl Fn(&Term, f32) -> bool) -> f32 {
        let terms = self.terms.iter().zip(&self.anywhere);
        terms.filter(|(term, met)| counts(term, **met)).map(|(term, _)| term.weight).sum()
    }

    fn count(&self, counts: impl Fn(&Term, f32) -> bool) -> f32 {
        self.terms.iter().zip(&self.anywhere).filter(|(term, met)| counts(term, **met)).count() as f32
    }

    /// Lines of relevant passages.
    fn lines(&self) -> impl Iterator<Item = &'r Line> + '_ {
        self.reading.lines.iter().filter(|line| self.relevant.get(line.passage).copied().unwrap_or(false))
    }

    /// How well each term is met in a relevant line and its neighbours, line by line.
    fn windows(&self) -> impl Iterator<Item = Vec<f32>> + '_ {
        let lines: Vec<&Line> = self.lines().collect();
        (0..lines.len()).filter_map(move |at| {
            let line = lines.get(at)?;
            let around = [at.checked_sub(1), at.checked_add(1)].into_iter().flatten();
            let near = around.filter_map(|at| lines.get(at)).filter(|other| other.passage == line.passage);
            Some(near.fold(line.met.clone(), |met, other| better(&met, &other.met)))
        })
    }

    fn coverage(&self, signals: &mut Signals) {
        let mut shares: Vec<f32> = self.passages.iter().map(|met| self.share(met, any)).collect();
        let relevant = shares.iter().zip(&self.relevant).filter(|(_, relevant)| **relevant).map(|(share, _)| *share);
        signals.relevant = relevant.clone().count() as f32;
        signals.passage_mean = relevant.sum::<f32>() / signals.relevant.max(1.0);
        shares.sort_unstable_by(|one, other| other.total_cmp(one));
        signals.passage = shares.first().copied().unwrap_or(0.0);
        signals.passage_next = shares.get(1).copied().unwrap_or(0.0);
        signals.anywhere = self.share(&self.anywhere, any);
        signals.sentence = largest(self.lines().map(|line| self.share(&line.met, any)));
        signals.window = largest(self.windows().map(|met| self.share(&met, any)));
        signals.joint = largest(self.windows().map(|met| self.share(&met, is_name).min(self.share(&met, is_other))));
        signals.names = self.share(&self.anywhere, is_name);
        let relevant = self.passages.iter().zip(&self.relevant).filter(|(_, relevant)| **relevant);
        signals.names_passage = largest(relevant.map(|(met, _)| self.share(met, is_name)));
        signals.numbers = self.share(&self.anywhere, |term| term.is_number);
        signals.others = self.share(&self.anywhere, is_other);
    }

    fn gaps(&self, signals: &mut Signals) {
        signals.missing = self.weight(|_, met| met <= 0.0);
        signals.missing_names = self.count(|term, met| is_name(term) && met <= 0.0);
        signals.missing_numbers = self.count(|term, met| term.is_number && met <= 0.0);
        signals.missing_others = self.weight(|term, met| is_other(term) && met <= 0.0);
        signals.missing_measures = self.count(|term, met| term.is_measure && met <= 0.0);
        let near = self.windows().filter(|met| self.share(met, any) >= 0.5);
        signals.measure_near = largest(near.map(|met| self.share(&met, |term| term.is_measure)));
        let gaps = self.terms.iter().zip(&self.anywhere).filter(|(term, met)| is_other(term) && **met <= 0.0);
        signals.missing_chars = largest(gaps.map(|(term, _)| term.written.chars().count() as f32));
        let (mut together, mut apart) = (0.0, 0.0);
        for (at, (one, other)) in self.terms.iter().zip(self.terms.iter().skip(1)).enumerate() {
            let weight = one.weight.min(other.weight);
            let stands = self.reading.lines.iter().any(|line| stands_together(line, at));
            *(if stands { &mut together } else { &mut apart }) += weight;
        }
        signals.pairs = if together + apart > 0.0 { together / (together + apart) } else { 1.0 };
        signals.missing_pairs = apart;
        signals.first = self.anywhere.first().copied().unwrap_or(1.0);
        signals.last = self.anywhere.last().copied().unwrap_or(1.0);
        let focus = self.terms.iter().zip(&self.anywhere).find(|(term, _)| is_other(term) && term.weight >= 1.0);
        signals.focus = focus.map_or(1.0, |(_, met)| *met);
    }

    fn asked(&self, signals: &mut Signals) {
        let asked = &self.reading.asked;
        signals.weight = self.weight(|_, _| true);
        signals.asked_names = self.count(|term, _| is_name(term));
        signals.asked_numbers = self.count(|term, _| term.is_number);
        signals.asked_others = self.weight(|term, _| is_other(term));
        signals.asks_present = one_if(asked.is_present);
        signals.asks_exact = one_if(asked.is_exact);
        signals.asks_verdict = one_if(asked.wanted == Wanted::Verdict);
        signals.asks_reason = one_if(asked.wanted == Wanted::Reason);
        signals.asks_manner = one_if(asked.wanted == Wanted::Manner);
        signals.asks_thing = one_if(asked.wanted == Wanted::Thing);
        signals.asks_number = one_if(asked.wanted == Wanted::Number);
        signals.asks_name = one_if(matches!(asked.wanted, Wanted::Person | Wanted::Place | Wanted::Date));
    }

    fn offers(&self, signals: &mut Signals) {
        let wanted = self.reading.asked.wanted;
        let shares: Vec<(f32, &Line)> = self.lines().map(|line| (self.share(&line.met, any), line)).collect();
        let most = largest(shares.iter().map(|(share, _)| *share));
        let near = shares.iter().filter(|(share, _)| *share >= most * NEAR_SHARE);
        signals.offers_none = one_if(!near.clone().any(|(_, line)| line.shapes.offers(wanted)));
        let best = near.clone().find(|(share, _)| *share >= most).map(|(_, line)| line);
        signals.offers_best = one_if(best.is_some_and(|line| line.shapes.offers(wanted)));
        signals.new_digits = one_if(best.is_some_and(|line| line.texture.new_digits > 0));
        let offering = shares.iter().filter(|(_, line)| line.shapes.offers(wanted)).count();
        signals.offers_share = offering as f32 / shares.len().max(1) as f32;
    }

    fn texture(&self, signals: &mut Signals) {
        let (mut words, mut lines, mut hits, mut densest) = (0_usize, 0_usize, 0_usize, 0.0_f32);
        let mut texture = super::texture::Texture::default();
        let mut years = Vec::new();
        for line in self.lines() {
            words += line.words;
            lines += 1;
            hits += line.places.len();
            densest = densest.max(line.places.len() as f32 / line.words.max(DENSE_WORDS_MIN) as f32);
            texture.join(line.texture);
            years.extend(line.years.iter().copied());
        }
        years.sort_unstable();
        years.dedup();
        let (all_words, all_lines) = (words.max(1) as f32, lines.max(1) as f32);
        signals.density = hits as f32 / all_words;
        signals.density_best = densest;
        signals.hits = hits as f32 / all_lines;
        signals.digits = texture.digits as f32 / all_words;
        signals.capitals = texture.capitals as f32 / all_words;
        signals.denials = texture.denials as f32 / all_lines;
        signals.weighing = texture.weighing as f32 / all_lines;
        signals.years = years.len() as f32;
        let asked = &self.reading.asked.years;
        let is_missing = asked.iter().any(|year| !years.contains(year));
        signals.year_missing = one_if(is_missing);
        signals.year_other = one_if(is_missing && years.iter().any(|year| !asked.contains(year)));
    }
}

/// True where the term and the one after it stand together in the line.
fn stands_together(line: &Line, term: usize) -> bool {
    let of = |wanted: usize| line.places.iter().filter(move |place| place.term == wanted);
    of(term).any(|one| of(term + 1).any(|other| one.word.abs_diff(other.word) <= TOGETHER_WORDS))
}

//! Which language a document is in, and a question, as far as that changes what becomes of their words. Pure.
use super::words::Words;
use whatlang::{Detector, Lang};

/// Words of a text that are looked at first …
const FIRST_WORDS: usize = 120;
/// … and the share of them, in percent, that are English function words in English: in other languages that are written with
/// the same letters they are below 10.
const ENGLISH_PERCENT_MIN: usize = 15;
/// Characters the detector reads of a document: what comes behind them makes it no surer.
const DETECTED_CHARS_MAX: usize = 400;
/// English function words, which hardly another language has.
const ENGLISH: &[&str] = &[
    "the", "of", "and", "to", "in", "that", "is", "with", "for", "which", "from", "are", "was", "by", "this", "be",
    "or", "it", "not", "have", "has", "were", "their", "been", "its",
];

/// Words English questions are made of, beside those the index leaves out: its list is short.
const ENGLISH_ASKING: &[&str] = &[
    "what", "which", "who", "whom", "whose", "when", "where", "why", "how", "do", "does", "did", "many", "much", "he",
    "she", "his", "her", "you", "i", "we", "has", "have", "had", "can", "could", "were", "from", "about", "than",
    "its",
];

/// A language whose words have stems, and mostly a list of those that say nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Language {
    /// Also what nothing says another language of: names, numbers, code, a few words.
    #[default]
    English,
    /// Arabic.
    Arabic,
    /// Danish.
    Danish,
    /// Dutch.
    Dutch,
    /// Finnish.
    Finnish,
    /// French.
    French,
    /// German.
    German,
    /// Greek.
    Greek,
    /// Hungarian.
    Hungarian,
    /// Italian.
    Italian,
    /// Norwegian.
    Norwegian,
    /// Portuguese.
    Portuguese,
    /// Romanian.
    Romanian,
    /// Russian.
    Russian,
    /// Spanish.
    Spanish,
    /// Swedish.
    Swedish,
    /// Tamil.
    Tamil,
    /// Turkish.
    Turkish,
    /// Any other one: its words are taken as they are, and where it is written without spaces in pairs of letters.
    Other,
}

impl Language {
    /// Every one of them.
    pub const ALL: [Self; 19] = [
        Self::English,
        Self::Arabic,
        Self::Danish,
        Self::Dutch,
        Self::Finnish,
        Self::French,
        Self::German,
        Self::Greek,
        Self::Hungarian,
        Self::Italian,
        Self::Norwegian,
        Self::Portuguese,
        Self::Romanian,
        Self::Russian,
        Self::Spanish,
        Self::Swedish,
        Self::Tamil,
        Self::Turkish,
        Self::Other,
    ];

    /// Its name in an index.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Arabic => "ar",
            Self::Danish => "da",
            Self::Dutch => "nl",
            Self::Finnish => "fi",
            Self::French => "fr",
            Self::German => "de",
            Self::Greek => "el",
            Self::Hungarian => "hu",
            Self::Italian => "it",
            Self::Norwegian => "nb",
            Self::Portuguese => "pt",
            Self::Romanian => "ro",
            Self::Russian => "ru",
            Self::Spanish => "es",
            Self::Swedish => "sv",
            Self::Tamil => "ta",
            Self::Turkish => "tr",
            Self::Other => "other",
        }
    }

    /// True for words that questions in this language are made of, beside those it is known by already.
    #[must_use]
    pub fn asks_with(self, word: &str) -> bool {
        self == Self::English && ENGLISH_ASKING.iter().any(|known| known.eq_ignore_ascii_case(word))
    }

    fn detected(language: Lang) -> Self {
        match language {
            Lang::Eng => Self::English,
            Lang::Ara => Self::Arabic,
            Lang::Dan => Self::Danish,
            Lang::Nld => Self::Dutch,
            Lang::Fin => Self::Finnish,
            Lang::Fra => Self::French,
            Lang::Deu => Self::German,
            Lang::Ell => Self::Greek,
            Lang::Hun => Self::Hungarian,
            Lang::Ita => Self::Italian,
            Lang::Nob => Self::Norwegian,
            Lang::Por => Self::Portuguese,
            Lang::Ron => Self::Romanian,
            Lang::Rus => Self::Russian,
            Lang::Spa => Self::Spanish,
            Lang::Swe => Self::Swedish,
            Lang::Tam => Self::Tamil,
            Lang::Tur => Self::Turkish,
            _ => Self::Other,
        }
    }

    /// The language of a document. What is not surely another one counts as English: it is the language of names and of code.
    #[must_use]
    pub fn of_document(text: &str) -> Self {
        let beginning = Beginning::of(text);
        if beginning.is_plainly_english() || beginning.is_no_prose() {
            return Self::English;
        }
        let end = text.char_indices().nth(DETECTED_CHARS_MAX).map_or(text.len(), |(at, _)| at);
        let detected = text.get(..end).and_then(|start| Detector::new().detect(start));
        detected.filter(whatlang::Info::is_reliable).map_or(Self::English, |info| Self::detected(info.lang()))
    }

    /// The likeliest of these languages for a question, by the detector alone, however sure it is.
    #[must_use]
    pub fn likeliest(question: &str, among: &[Self]) -> Option<Self> {
        let allowed =
            Lang::all().iter().copied().filter(|language| among.contains(&Self::detected(*language))).collect();
        Detector::with_allowlist(allowed).detect_lang(question).map(Self::detected)
    }
}

/// What the first words of a text are. It says of most documents all that need be known, in a tenth of the detector's time.
struct Beginning {
    words: usize,
    /// English function words.
    english: usize,
    /// Words with a digit in them.
    numbered: usize,
}

impl Beginning {
    fn of(text: &str) -> Self {
        let mut beginning = Self { words: 0, english: 0, numbered: 0 };
        for range in Words::of(text).take(FIRST_WORDS) {
            let word = text.get(range).unwrap_or_default();
            beginning.words += 1;
            beginning.english += usize::from(ENGLISH.iter().any(|known| known.eq_ignore_ascii_case(word)));
            beginning.numbered += usize::from(word.contains(char::is_numeric));
        }
        beginning
    }

    fn is_plainly_english(&self) -> bool {
        self.english > 0 && self.english * 100 >= self.words * ENGLISH_PERCENT_MIN
    }

    /// Tables, lists of parts, code: they are in no language, and the detector would find one.
    fn is_no_prose(&self) -> bool {
        self.numbered * 2 > self.words
    }
}

#[cfg(test)]
mod tests {
    use super::Language;

    const SAID: &[(&str, Language)] = &[
        ("The otter lives in rivers and it is protected by the law of this country.", Language::English),
        ("Der Fischotter lebt an Flüssen und ist in diesem Land durch das Gesetz geschützt worden.", Language::German),
        (
            "La loutre vit dans les rivières et elle est protégée par la loi de ce pays depuis longtemps.",
            Language::French,
        ),
        (
            "La nutria vive en los ríos y está protegida por la ley de este país desde hace muchos años.",
            Language::Spanish,
        ),
        ("Выдра живёт в реках и находится под защитой закона этой страны уже много лет.", Language::Russian),
        ("Su samuru nehirlerde yaşar ve bu ülkenin yasalarıyla uzun yıllardır korunmaktadır.", Language::Turkish),
        ("Η βίδρα ζει σε ποτάμια και προστατεύεται από τον νόμο αυτής της χώρας.", Language::Greek),
        ("يعيش ثعلب الماء في الأنهار ويحميه قانون هذا البلد منذ سنوات عديدة", Language::Arabic),
        ("水獭生活在河流中，多年来一直受到这个国家法律的保护。", Language::Other),
        ("ตัวนากอาศัยอยู่ในแม่น้ำและได้รับการคุ้มครองตามกฎหมายของประเทศนี้", Language::Other),
    ];

    #[test]
    fn a_document_has_the_language_it_is_written_in() {
        for (text, language) in SAID {
            assert_eq!(Language::of_document(text), *language, "{text}");
        }
    }

    #[test]
    fn what_is_not_surely_another_language_is_english() {
        for text in ["", "42", "Northwind Traders GmbH", "fn main() { println!(\"{}\", x); }", "a b c", "Otter"] {
            assert_eq!(Language::of_document(text), Language::English, "{text}");
        }
        let parts =
            "Schraube M8x40 A2 200 7,90 Mutter M8 A2 500 12,40 Scheibe 8,4 DIN125 1000 9,10 Bolzen 10x60 50 14,75 ";
        assert_eq!(Language::of_document(&parts.repeat(4)), Language::English, "a list of parts is in no language");
        let notice =
            "Am 3. Mai 2024 haben 12 Fischotter die Flüsse im Norden wieder besiedelt, sagt die Behörde des Landes.";
        assert_eq!(Language::of_document(notice), Language::German, "prose has numbers too");
    }

    #[test]
    fn a_question_has_one_of_the_languages_there_are() {
        let among = [Language::German, Language::French];
        assert_eq!(Language::likeliest("Wie alt wird ein Fischotter?", &among), Some(Language::German));
        assert_eq!(Language::likeliest("Quel âge peut atteindre une loutre ?", &among), Some(Language::French));
        assert!(Language::likeliest("How old is it?", &among).is_none_or(|language| among.contains(&language)));
        assert_eq!(Language::likeliest("", &among), None);
    }

    #[test]
    fn names_are_unlike() {
        let mut names = Language::ALL.map(Language::name).to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Language::ALL.len());
    }
}

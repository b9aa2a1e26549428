//! What waits to be embedded, how much of it is asked for at once, and how long is waited in between. Pure.
use super::super::rules::Held;
use bailiwick_kernel::outcome::{Code, Rejection};
use std::collections::{HashSet, VecDeque};

/// Passages embedded by one call, at most.
const BATCH_MAX: usize = 32;
/// Bytes of a batch's texts, the last of them not counted.
const BATCH_BYTES: usize = 64 << 10;
/// The wait after a failure, doubled with each one after it …
const WAIT_MS: u64 = 1_000;
/// … up to this.
const WAIT_MS_MAX: u64 = 300_000;
const MINUTE_MS: u64 = 60_000;

/// A chunk to be embedded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Todo {
    /// Its document.
    pub id: String,
    /// The document's version.
    pub version: u64,
    /// The chunk's number.
    pub number: u32,
    /// What is embedded of it.
    pub text: String,
}

struct Waiting {
    version: u64,
    id: String,
    chunks: u64,
}

/// What waits to be embedded.
#[derive(Default)]
pub struct Backlog {
    /// Documents not read yet, in the order they were accepted.
    documents: VecDeque<Waiting>,
    /// Chunks of the document read last, and what is left of those before it.
    chunks: VecDeque<Todo>,
    /// Every version of a document there is.
    versions: HashSet<u64>,
}

impl Backlog {
    /// Notes a document that is kept; it waits where it was accepted from `next` on.
    pub fn note(&mut self, held: &Held, next: u64) {
        self.versions.insert(held.seq);
        if held.seq >= next && held.verdict.admitted > 0 {
            let (version, id) = (held.seq, held.accepted.id.clone());
            self.documents.push_back(Waiting { version, id, chunks: u64::from(held.verdict.admitted) });
        }
    }

    /// Puts the documents in the order they were accepted.
    pub fn in_order(&mut self) {
        self.documents.make_contiguous().sort_by_key(|document| document.version);
    }

    /// True where this version of a document is kept.
    #[must_use]
    pub fn holds(&self, version: u64) -> bool {
        self.versions.contains(&version)
    }

    /// True where nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.documents.is_empty() && self.chunks.is_empty()
    }

    /// Chunks that wait, about: of documents not read yet, as many as were admitted when they came.
    #[must_use]
    pub fn chunks(&self) -> u64 {
        let read = u64::try_from(self.chunks.len()).unwrap_or(u64::MAX);
        self.documents.iter().fold(read, |sum, document| sum.saturating_add(document.chunks))
    }

    /// The document to be read next, where there is not a whole batch of chunks yet.
    pub fn wanted(&mut self, batch: usize) -> Option<String> {
        let is_short = self.chunks.len() < batch;
        is_short.then(|| self.documents.pop_front().map(|document| document.id)).flatten()
    }

    /// Takes in the chunks of the document read last.
    pub fn read(&mut self, chunks: Vec<Todo>) {
        self.chunks.extend(chunks);
    }

    /// The chunks to be embedded next; nothing where nothing waits.
    #[must_use]
    pub fn batch(&self, most: usize) -> Option<Vec<&Todo>> {
        let mut bytes = 0_usize;
        let batch: Vec<&Todo> = self
            .chunks
            .iter()
            .take(most)
            .take_while(|todo| {
                let before = bytes;
                bytes = bytes.saturating_add(todo.text.len());
                before < BATCH_BYTES
            })
            .collect();
        (!batch.is_empty()).then_some(batch)
    }

    /// The first chunks, which are embedded.
    pub fn take(&mut self, count: usize) -> Vec<Todo> {
        self.chunks.drain(..count.min(self.chunks.len())).collect()
    }

    /// The version of the first document of which something waits once the first chunks are embedded; nothing where nothing
    /// does.
    #[must_use]
    pub fn next_after(&self, count: usize) -> Option<u64> {
        let read = self.chunks.iter().skip(count).map(|todo| todo.version);
        read.chain(self.documents.front().map(|document| document.version)).min()
    }

    /// The first chunk goes behind the others that are read.
    fn put_off(&mut self) {
        self.chunks.rotate_left(1.min(self.chunks.len()));
    }
}

/// How a round of embedding goes.
#[derive(Debug)]
pub struct Course {
    chunks_per_minute: u64,
    batch: usize,
    failures: u32,
    /// The model has embedded something in this round: what it refuses alone is refused for its own sake.
    works: bool,
    skipped: u64,
}

impl Course {
    /// At most so many chunks a minute.
    #[must_use]
    pub fn new(chunks_per_minute: u32) -> Self {
        let pace = usize::try_from(chunks_per_minute.div_ceil(60)).unwrap_or(BATCH_MAX);
        let chunks_per_minute = u64::from(chunks_per_minute.max(1));
        Self { chunks_per_minute, batch: pace.clamp(1, BATCH_MAX), failures: 0, works: false, skipped: 0 }
    }

    /// At most so many chunks a minute from now on; what has failed stays known.
    pub fn keep_pace(&mut self, chunks_per_minute: u32) {
        let Self { failures, works, skipped, .. } = *self;
        *self = Self { failures, works, skipped, ..Self::new(chunks_per_minute) };
    }

    /// Chunks asked for at once.
    #[must_use]
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// Chunks given up.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// So many chunks were embedded in so many milliseconds; gives how long to wait before the next.
    pub fn succeeded(&mut self, count: usize, took_ms: u64) -> u64 {
        let due_ms = u64::try_from(count).unwrap_or(u64::MAX).saturating_mul(MINUTE_MS) / self.chunks_per_minute;
        let pace = usize::try_from(self.chunks_per_minute.div_ceil(60)).unwrap_or(BATCH_MAX);
        self.batch = self.batch.saturating_mul(2).min(pace.clamp(1, BATCH_MAX));
        (self.failures, self.works) = (0, true);
        due_ms.saturating_sub(took_ms)
    }

    /// A batch was not embedded; gives how long to wait before another try. What is refused for good is asked for in
    /// smaller batches, until the chunk it is refused for is alone: that one is given up, where the model does embed others.
    pub fn failed(&mut self, rejection: &Rejection, backlog: &mut Backlog) -> u64 {
        let is_lasting = match rejection.code {
            Code::InvalidRequest | Code::TooLarge => true,
            Code::UpstreamFailed => rejection.retry_after_ms.is_none(),
            _ => false,
        };
        let is_alone = self.batch == 1;
        // a smaller batch also passes where a larger one takes a slow model too long
        self.batch = (self.batch / 2).max(1);
        if is_lasting && !is_alone {
            return WAIT_MS;
        }
        if is_lasting && self.works {
            backlog.take(1);
            self.skipped = self.skipped.saturating_add(1);
            return WAIT_MS;
        }
        if is_lasting {
            backlog.put_off();
        }
        let doubled = WAIT_MS.saturating_mul(1 << self.failures.min(20)).min(WAIT_MS_MAX);
        self.failures = self.failures.saturating_add(1);
        rejection.retry_after_ms.unwrap_or(0).min(WAIT_MS_MAX).max(doubled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn todo(version: u64, number: u32, text: &str) -> Todo {
        Todo { id: format!("d{version}"), version, number, text: text.to_owned() }
    }

    fn backlog(documents: u64, chunks: u32) -> Backlog {
        let mut backlog = Backlog::default();
        (0..documents).for_each(|version| backlog.read((0..chunks).map(|number| todo(version, number, "x")).collect()));
        backlog
    }

    #[test]
    fn it_goes_on_at_the_first_document_of_which_something_waits() {
        let mut backlog = backlog(3, 2);
        backlog.documents.push_back(Waiting { version: 9, id: "d9".into(), chunks: 4 });
        assert_eq!((backlog.chunks(), backlog.next_after(0)), (10, Some(0)));
        assert_eq!(
            [1, 2, 3, 4, 6].map(|count| backlog.next_after(count)),
            [Some(0), Some(1), Some(1), Some(2), Some(9)]
        );
        assert_eq!(backlog.take(3).len(), 3);
        assert_eq!(backlog.wanted(3), None, "a batch is there");
        assert_eq!(backlog.wanted(4).as_deref(), Some("d9"));
        assert_eq!(backlog.next_after(3), None);
        backlog.take(99);
        assert!(backlog.is_empty() && backlog.batch(5).is_none());
    }

    #[test]
    fn a_batch_ends_behind_the_text_that_fills_it() {
        let mut backlog = Backlog::default();
        backlog.read((0..5).map(|number| todo(1, number, &"x".repeat(BATCH_BYTES / 2))).collect());
        assert_eq!(backlog.batch(32).unwrap().len(), 2);
        backlog.chunks[0].text = "x".repeat(BATCH_BYTES * 3);
        assert_eq!(backlog.batch(32).unwrap().len(), 1, "one that is too long goes alone");
    }

    #[test]
    fn the_pace_of_the_tenant_is_kept() {
        let mut course = Course::new(600);
        assert_eq!(course.batch(), 10);
        assert_eq!(course.succeeded(10, 200), 800);
        assert_eq!(course.succeeded(10, 2_000), 0);
        assert_eq!(Course::new(1).batch(), 1);
        assert_eq!(Course::new(1).succeeded(1, 0), 60_000);
        assert_eq!(Course::new(600_000).batch(), BATCH_MAX);
    }

    #[test]
    fn what_passes_is_waited_for_ever_longer_and_nothing_is_given_up() {
        let (mut course, mut backlog) = (Course::new(6_000), backlog(1, 3));
        let passing = Rejection::retry_after(Code::UpstreamFailed, "down", 10);
        let waits: Vec<u64> = (0..12).map(|_| course.failed(&passing, &mut backlog)).collect();
        assert_eq!(waits[..4], [1_000, 2_000, 4_000, 8_000]);
        assert_eq!(waits[11], WAIT_MS_MAX);
        let later = Rejection::retry_after(Code::BudgetExceeded, "tomorrow", 86_400_000);
        assert_eq!(course.failed(&later, &mut backlog), WAIT_MS_MAX, "a budget may be raised before");
        assert_eq!((course.skipped(), backlog.chunks(), course.batch()), (0, 3, 1));
        course.succeeded(1, 0);
        assert_eq!(course.batch(), 2);
        assert_eq!(course.failed(&passing, &mut backlog), 1_000);
    }

    #[test]
    fn one_chunk_that_is_refused_for_good_keeps_no_other_waiting() {
        let refused = Rejection::new(Code::UpstreamFailed, "too many tokens");
        let (mut course, mut backlog) = (Course::new(6_000), backlog(1, 40));
        let embeds = |batch: &[&Todo]| batch.iter().all(|todo| todo.number != 0 && todo.number != 17);
        let mut tries = 0;
        while let Some(batch) = backlog.batch(course.batch()) {
            let count = batch.len();
            if embeds(&batch) {
                backlog.take(count);
                course.succeeded(count, 0);
            } else {
                course.failed(&refused, &mut backlog);
            }
            tries += 1;
            assert!(tries < 100);
        }
        assert_eq!(course.skipped(), 2);
    }

    #[test]
    fn where_nothing_is_embedded_nothing_is_given_up() {
        let refused = Rejection::new(Code::UpstreamFailed, "no such model");
        let (mut course, mut backlog) = (Course::new(6_000), backlog(1, 3));
        let waits: Vec<u64> = (0..50).map(|_| course.failed(&refused, &mut backlog)).collect();
        assert_eq!(waits.last(), Some(&WAIT_MS_MAX));
        assert_eq!((course.skipped(), backlog.chunks()), (0, 3));
    }
}

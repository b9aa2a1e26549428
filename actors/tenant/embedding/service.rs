//! A model and its threads: texts in, directions out, off every arbiter, in slices between which others come in.
use super::batches::batches;
use super::workers::{Lost, Workers};
use super::{Embedder, ModelError};
use bailiwick_kernel::background::Yielding;
use bailiwick_kernel::fair::Slot;
use std::num::NonZeroUsize;
use std::sync::Arc;

/// Texts of a call, at most: as many as OpenAI takes.
pub const TEXTS_MAX: usize = 2_048;
/// Texts cut into tokens in one slice.
const TEXTS_PER_SLICE: usize = 64;

/// A model, asked by many at once.
pub struct Service {
    model: Arc<dyn Embedder>,
    /// For a question: somebody waits for it, and it is short.
    asked: Workers,
    /// For everything else: it takes seconds, and whoever answers goes first.
    much: Workers,
}

/// What came of a call.
#[derive(Debug)]
pub struct Embedded<T> {
    /// What was made of each text's direction, in the order of the texts.
    pub each: Vec<T>,
    /// Tokens the model read.
    pub tokens: u64,
}

impl Service {
    /// As many workers of each kind as this machine has processors.
    ///
    /// # Errors
    /// [`ModelError::Computing`]: the system has no thread left.
    pub fn start(model: Arc<dyn Embedder>) -> Result<Self, ModelError> {
        let count = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let asked = Workers::start(count, "embedding-asked", None).map_err(lost)?;
        let much = Workers::start(count, "embedding-much", Some(Yielding::Some)).map_err(lost)?;
        Ok(Self { model, asked, much })
    }

    /// The model.
    #[must_use]
    pub fn model(&self) -> &dyn Embedder {
        self.model.as_ref()
    }

    /// Embeds texts; `shape` makes of each direction what is wanted, on a worker, too. The place, where there is one, is renewed
    /// between slices, so that other tenants' come in between. Dropped, it ends with its slice.
    ///
    /// # Errors
    /// [`ModelError::Text`], [`ModelError::Computing`].
    pub async fn embed<T: Send + 'static>(
        &self,
        texts: Vec<String>,
        mut place: Option<Slot>,
        shape: impl Fn(Vec<f32>) -> T + Clone + Send + 'static,
    ) -> Result<Embedded<T>, ModelError> {
        if texts.len() > TEXTS_MAX {
            let problem =
                format!("a call may have {TEXTS_MAX} texts, this one has {}; send fewer at once", texts.len());
            return Err(ModelError::Text(problem));
        }
        let workers = if texts.len() == 1 { &self.asked } else { &self.much };
        let tokens = Arc::new(self.read(workers, texts).await?);
        let lengths: Vec<usize> = tokens.iter().map(Vec::len).collect();
        let mut each: Vec<(usize, T)> = Vec::with_capacity(tokens.len());
        for batch in batches(&lengths) {
            place = renewed(place).await?;
            let (model, tokens, shape) = (Arc::clone(&self.model), Arc::clone(&tokens), shape.clone());
            let encode = move || {
                let texts: Vec<&[u32]> = batch.iter().filter_map(|text| tokens.get(*text)).map(Vec::as_slice).collect();
                let directions = model.encode(&texts)?;
                Ok(batch.into_iter().zip(directions.into_iter().map(shape)).collect::<Vec<_>>())
            };
            each.extend(workers.run(encode).await.map_err(lost)??);
        }
        drop(place);
        each.sort_unstable_by_key(|(text, _)| *text);
        let tokens = lengths.iter().fold(0, |sum: usize, length| sum.saturating_add(*length));
        Ok(Embedded {
            each: each.into_iter().map(|(_, made)| made).collect(),
            tokens: u64::try_from(tokens).unwrap_or(u64::MAX),
        })
    }

    async fn read(&self, workers: &Workers, texts: Vec<String>) -> Result<Vec<Vec<u32>>, ModelError> {
        let mut read = Vec::with_capacity(texts.len());
        let mut texts = texts.into_iter();
        loop {
            let slice: Vec<String> = texts.by_ref().take(TEXTS_PER_SLICE).collect();
            if slice.is_empty() {
                return Ok(read);
            }
            let model = Arc::clone(&self.model);
            let tokens = move || slice.iter().map(|text| model.tokens(text)).collect::<Result<Vec<_>, _>>();
            read.extend(workers.run(tokens).await.map_err(lost)??);
        }
    }
}

impl std::fmt::Debug for Service {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Service").field("card", self.model.card()).finish_non_exhaustive()
    }
}

/// The same place, or another one where others have had less.
async fn renewed(place: Option<Slot>) -> Result<Option<Slot>, ModelError> {
    match place.map(Slot::renew) {
        None => Ok(None),
        Some(Ok(slot)) => Ok(Some(slot)),
        Some(Err(waiting)) => waiting.slot().await.map(Some).map_err(|_gone| lost(Lost)),
    }
}

fn lost(lost: Lost) -> ModelError {
    ModelError::Computing(lost.to_string())
}

#[cfg(test)]
mod tests {
    use super::super::Card;
    use super::super::batches::BATCH_TOKENS_MAX;
    use super::*;
    use bailiwick_kernel::fair::pool::SLICE;
    use bailiwick_kernel::fair::{FairPool, Limits};
    use bailiwick_kernel::ids::TenantKey;
    use std::collections::BTreeMap;
    use std::num::NonZeroU32;
    use std::sync::Mutex;
    use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
    use std::time::{Duration, Instant};

    /// A model each text of which fills a batch. It says which one it computes, and goes on when it is told to.
    struct Watched {
        card: Card,
        begins: SyncSender<u32>,
        goes_on: Mutex<Receiver<()>>,
    }

    impl Embedder for Watched {
        fn card(&self) -> &Card {
            &self.card
        }

        fn tokens(&self, text: &str) -> Result<Vec<u32>, ModelError> {
            let token = text.parse().map_err(|_no_number| ModelError::Text(String::from("no number")))?;
            Ok(vec![token; BATCH_TOKENS_MAX])
        }

        fn encode(&self, batch: &[&[u32]]) -> Result<Vec<Vec<f32>>, ModelError> {
            self.begins.send(batch[0][0]).unwrap();
            self.goes_on.lock().unwrap().recv().unwrap();
            let began = Instant::now();
            while began.elapsed() <= SLICE {
                std::hint::spin_loop(); // a slice is work
            }
            Ok(vec![vec![batch[0][0] as f32]; batch.len()])
        }
    }

    fn watched() -> (Service, Receiver<u32>, SyncSender<()>) {
        let (begins, begun) = sync_channel(100);
        let (go_on, goes_on) = sync_channel(100);
        let card = Card { dimension: 1, tokens_max: 1, digest: String::new(), files: BTreeMap::new() };
        let model = Watched { card, begins, goes_on: Mutex::new(goes_on) };
        (Service::start(Arc::new(model)).unwrap(), begun, go_on)
    }

    #[expect(clippy::disallowed_methods, reason = "two tenants of a test")]
    fn key(id: u128) -> TenantKey {
        TenantKey::mint(uuid::Uuid::from_u128(id))
    }

    fn numbers(range: std::ops::Range<u32>) -> Vec<String> {
        range.map(|number| number.to_string()).collect()
    }

    #[tokio::test]
    async fn directions_come_in_the_order_of_their_texts() {
        let (service, _begun, go_on) = watched();
        (0..4).for_each(|_| go_on.send(()).unwrap());
        let texts = ["7", "3", "9", "1"].map(str::to_owned).to_vec();
        let embedded = service.embed(texts, None, |direction| direction[0]).await.unwrap();
        assert_eq!(embedded.each, [7.0, 3.0, 9.0, 1.0]);
        assert_eq!(embedded.tokens, 4 * BATCH_TOKENS_MAX as u64);
        let wrong = service.embed(vec![String::from("x")], None, |direction| direction[0]).await;
        assert_eq!(wrong.unwrap_err(), ModelError::Text(String::from("no number")));
        assert!(service.embed(numbers(0..2_049), None, |direction| direction[0]).await.is_err());
    }

    #[tokio::test]
    async fn another_tenants_question_comes_in_between_the_slices_of_a_long_call() {
        let (service, begun, go_on) = watched();
        let limits = Limits {
            slots: NonZeroUsize::MIN,
            crowds_give_way: false,
            queue_max: 10,
            lanes_max: 10,
            slice_cost: 2_000_000,
        };
        let pool = FairPool::new("embedding", limits);
        let [crowd, other] = [1, 2].map(|id| pool.lane(key(id), NonZeroU32::MIN));
        let patience = Duration::from_secs(60);
        let place = crowd.enter(patience).await.unwrap();
        let long = service.embed(numbers(0..6), Some(place), |direction| direction[0]);
        let short = async {
            let place = other.enter(patience).await.unwrap();
            service.embed(numbers(100..101), Some(place), |direction| direction[0]).await
        };
        let (mut long, mut short) = (std::pin::pin!(long), std::pin::pin!(short));
        // the long call is in its first slice before the other tenant comes
        while begun.try_recv() != Ok(0) {
            assert!(futures_util::poll!(&mut long).is_pending());
            tokio::task::yield_now().await;
        }
        assert!(futures_util::poll!(&mut short).is_pending());
        (0..7).for_each(|_| go_on.send(()).unwrap());
        let (long, short) = tokio::join!(long, short);
        assert_eq!((long.unwrap().each.len(), short.unwrap().each), (6, vec![100.0]));
        let order: Vec<u32> = begun.try_iter().collect();
        assert_eq!(order, [100, 1, 2, 3, 4, 5], "first come, first served would have put it last");
    }
}

//! What a hold does once the embedding it pays for was called.
use super::fixtures::collector;
use crate::budget::accounts::Sum;
use crate::budget::hold::{Embedding, Hold, Returned};
use crate::budget::rules::Ended;
use crate::catalog::Price;
use bailiwick_kernel::money::NanoUsd;
use bailiwick_policy::schema::EmbeddingRoute;

#[actix_rt::test]
async fn a_hold_whose_embedding_was_called_is_not_given_back_without_a_record() {
    let (home, mut returned) = collector::<Returned>();
    let embedding = || {
        let route = EmbeddingRoute { provider: "p".into(), model: "e".into() };
        Some(Embedding { route, price: Price { input_nano_usd_per_token: 2, output_nano_usd_per_token: 0 }, tokens: 9 })
    };
    let hold = |number| Hold::new(number, NanoUsd(5), Vec::new(), 42, home.clone()).with_embedding(embedding());
    drop(hold(1));
    assert_eq!(returned.recv().await, Some(Returned { number: 1, ended: Ended::Unused, unsure: NanoUsd::ZERO }));
    let mut called = hold(2);
    called.note_embedded(3);
    called.note_embedded(4);
    let used = Sum { money: NanoUsd(6), tokens: 3 };
    assert_eq!((called.embedded().unwrap().1, called.embedding()), (used, None), "called once");
    drop(called);
    let unknown = Returned { number: 2, ended: Ended::Unknown, unsure: NanoUsd::ZERO };
    assert_eq!(returned.recv().await, Some(unknown), "it was billed, and no record says so");
    let mut settled = hold(3);
    settled.note_embedded(3);
    settled.settle(used);
    assert_eq!(returned.recv().await, Some(Returned { number: 3, ended: Ended::Settled(used), unsure: NanoUsd::ZERO }));
    let mut covered = hold(4);
    assert!(covered.covers(NanoUsd(5)) && !covered.covers(NanoUsd(6)));
    covered.note_embedded(2);
    assert!(covered.covers(NanoUsd(1)) && !covered.covers(NanoUsd(2)), "what looking up took is not there for a call");
}

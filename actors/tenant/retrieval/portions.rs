//! How a request is cut into portions, and what is answered where it ends before the last of them. Pure.
use super::deciding::not_taken;
use super::messages::Ingested;
use super::prepare::Failed;
use super::reserve::{Arrivals, Arrived};
use bailiwick_kernel::outcome::Rejection;

/// Documents decided about, stored, appended and taken over together: what a slice may come to.
pub const PORTION: usize = 128;
/// Bytes sent for the documents of a portion, the last of them not counted.
const PORTION_BYTES: u64 = 256 << 10;
/// A request in portions, in order.
pub fn portions(arrivals: Arrivals) -> Vec<Arrivals> {
    let mut portions: Vec<Arrivals> = Vec::new();
    let mut bytes = 0_u64;
    for arrived in arrivals {
        let size = arrived.as_ref().map_or(0, |arrived| arrived.intake.bytes);
        match portions.last_mut() {
            Some(portion) if portion.len() < PORTION && bytes < PORTION_BYTES => portion.push(arrived),
            _ => {
                bytes = 0;
                portions.push(vec![arrived]);
            }
        }
        bytes = bytes.saturating_add(size);
    }
    portions
}

/// What a document is called in an answer.
pub struct Name {
    id: String,
    title: String,
}

impl Name {
    /// As far as is known before it is parsed.
    pub fn of(arrived: &Result<Arrived, Failed>) -> Self {
        match arrived {
            Ok(Arrived { intake, .. }) => Self { id: intake.id.clone(), title: intake.called() },
            Err(Failed { id, title, .. }) => Self { id: id.clone(), title: title.clone() },
        }
    }
}

/// The answer to a request of which only the first documents were taken: of each of the others it says why not.
pub fn partly(mut taken: Vec<Ingested>, names: Vec<Name>, rejection: &Rejection) -> Vec<Ingested> {
    let refused = |Name { id, title }| not_taken(Failed { id, title, rejection: rejection.clone() });
    let rest: Vec<Ingested> = names.into_iter().skip(taken.len()).map(refused).collect();
    taken.extend(rest);
    taken
}

/// Documents stored or taken over at once, between two looks at whether another thread is waiting.
const BATCH: usize = 32;

/// Items in batches, in order.
pub fn in_batches<T>(items: Vec<T>) -> Vec<Vec<T>> {
    let (mut items, mut batches) = (items.into_iter(), Vec::new());
    while !items.as_slice().is_empty() {
        batches.push(items.by_ref().take(BATCH).collect());
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::{BATCH, Name, PORTION, PORTION_BYTES, in_batches, partly, portions};
    use crate::egress::fixtures::here;
    use crate::retrieval::messages::{Content, DocumentState, Ingested, NewDocument};
    use crate::retrieval::prepare::Failed;
    use crate::retrieval::reserve::Arrived;
    use crate::retrieval::rules::intake;
    use crate::retrieval::test_house::named;
    use bailiwick_kernel::outcome::{Code, Rejection};

    fn arrived(id: &str, bytes: usize) -> Result<Arrived, Failed> {
        let document = NewDocument { content: Content::Text("x".repeat(bytes)), ..named(id, "") };
        Ok(Arrived { intake: intake(&document, &here()).unwrap(), document })
    }

    fn lengths(sizes: impl Iterator<Item = usize>) -> Vec<usize> {
        let arrivals: Vec<_> = sizes.enumerate().map(|(number, bytes)| arrived(&format!("d{number}"), bytes)).collect();
        let all: Vec<String> = arrivals.iter().map(|one| Name::of(one).id).collect();
        let portions = portions(arrivals);
        assert_eq!(portions.iter().flatten().map(|one| Name::of(one).id).collect::<Vec<_>>(), all, "whole, in order");
        portions.iter().map(Vec::len).collect()
    }

    #[test]
    fn a_portion_has_so_many_documents_and_about_so_many_bytes() {
        let half = PORTION_BYTES as usize / 2;
        assert_eq!(lengths(std::iter::repeat_n(1, 2 * PORTION + 1)), [PORTION, PORTION, 1]);
        assert_eq!(lengths([half, half, half, 1].into_iter()), [2, 2]);
        assert_eq!(lengths([1, 4 * half, 1].into_iter()), [2, 1], "a large one ends its portion");
        assert_eq!(lengths([].into_iter()), [0; 0]);
    }

    #[test]
    fn batches_are_whole_and_in_order() {
        for items in [0, 1, BATCH, BATCH + 1, 5 * BATCH] {
            let batches = in_batches((0..items).collect::<Vec<_>>());
            assert!(batches.iter().all(|batch| (1..=BATCH).contains(&batch.len())));
            assert_eq!(batches.concat(), (0..items).collect::<Vec<_>>());
        }
    }

    #[test]
    fn what_comes_after_a_refusal_is_refused_by_name() {
        let unreadable = Failed { id: "d2".into(), title: "Two".into(), rejection: Rejection::lost() };
        let names = [arrived("d0", 1), arrived("d1", 1), Err(unreadable)].iter().map(Name::of).collect();
        let kept = Ingested {
            id: "d0".into(),
            title: "Zero".into(),
            chunks: 1,
            seq: 7,
            state: DocumentState::Accepted,
            error: None,
            code: None,
        };
        let answers = partly(vec![kept.clone()], names, &Rejection::new(Code::Overloaded, "no room"));
        assert_eq!(answers[0], kept);
        let refused: Vec<_> = answers[1..].iter().map(|one| (one.id.as_str(), one.code, one.state)).collect();
        let expected = |id| (id, Some(Code::Overloaded), DocumentState::Failed);
        assert_eq!(refused, [expected("d1"), expected("d2")]);
        assert_eq!(answers[2].title, "Two");
    }
}

use super::*;
use proptest::prelude::*;

fn ids(list: &str) -> Vec<String> {
    list.split_whitespace().map(str::to_owned).collect()
}

fn found(list: &str) -> Vec<&str> {
    list.split_whitespace().collect()
}

fn near(one: Option<f64>, other: f64) -> bool {
    one.is_some_and(|one| (one - other).abs() < 1e-9)
}

#[test]
fn figures_are_those_of_trec_eval() {
    // as `trec_eval -m ndcg_cut.3,10 -m recall.3 -m recip_rank` prints them for these rankings
    let relevant = ids("b d");
    let ranking = found("a b c d e");
    assert!(near(ndcg(&ranking, &relevant, 10), 0.650_920_929_807_132_6));
    assert!(near(ndcg(&ranking, &relevant, 3), 0.386_852_807_234_541_63));
    assert!(near(recall(&ranking, &relevant, 3), 0.5));
    assert!(near(reciprocal_rank(&ranking, &relevant), 0.5));
    assert!(near(precision(&ranking, &relevant, 4), 0.5));
    assert!(near(ndcg(&found("b d"), &relevant, 10), 1.0));
    assert!(near(ndcg(&found("a c"), &relevant, 10), 0.0));
    assert!(near(reciprocal_rank(&found("a c"), &relevant), 0.0));
}

#[test]
fn nothing_relevant_or_nothing_found_is_no_figure() {
    assert_eq!(ndcg(&found("a"), &[], 10), None);
    assert_eq!(recall(&found("a"), &[], 10), None);
    assert_eq!(reciprocal_rank(&found("a"), &[]), None);
    assert_eq!(precision(&[], &ids("a"), 10), None);
    assert_eq!(ndcg(&[], &ids("a"), 10), Some(0.0));
}

#[test]
fn a_document_counts_once_at_its_best_place() {
    assert_eq!(documents(["b", "a", "b", "c", "a"]), ["b", "a", "c"]);
    assert!(near(ndcg(&found("b"), &ids("b b"), 10), 1.0));
}

proptest! {
    #[test]
    fn a_better_place_is_never_a_worse_figure(
        size in 1_usize..12, right in prop::collection::btree_set(0_usize..12, 1..6), at in 0_usize..11,
    ) {
        let names: Vec<String> = (0..size).map(|id| id.to_string()).collect();
        let relevant: Vec<String> = right.iter().map(ToString::to_string).collect();
        let ranking: Vec<&str> = names.iter().map(String::as_str).collect();
        for figure in [ndcg(&ranking, &relevant, 10), recall(&ranking, &relevant, 10), reciprocal_rank(&ranking, &relevant)] {
            prop_assert!(figure.is_some_and(|figure| (0.0..=1.0 + 1e-12).contains(&figure)));
        }
        if at + 1 < size && !relevant.contains(&names[at]) && relevant.contains(&names[at + 1]) {
            let mut better = ranking.clone();
            better.swap(at, at + 1);
            prop_assert!(ndcg(&better, &relevant, 10) >= ndcg(&ranking, &relevant, 10));
            prop_assert!(reciprocal_rank(&better, &relevant) >= reciprocal_rank(&ranking, &relevant));
        }
    }
}

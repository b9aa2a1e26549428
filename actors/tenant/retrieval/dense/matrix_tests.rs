use super::*;
use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;
use std::convert::Infallible;

const ROOM: usize = 1 << 20;

fn unit(numbers: Vec<f32>) -> Vec<f32> {
    let length = numbers.iter().map(|number| number * number).sum::<f32>().sqrt();
    numbers.into_iter().map(|number| number / length).collect()
}

fn random(dice: &mut StdRng, dimensions: usize) -> Vec<f32> {
    unit((0..dimensions).map(|_| dice.random::<f32>() - 0.5).collect())
}

/// Every vector compared with the question, in double precision.
fn naive(vectors: &BTreeMap<u64, Vec<f32>>, question: &[f32], admitted: impl Fn(u64) -> bool) -> Vec<(u64, f64)> {
    let product = |vector: &[f32]| vector.iter().zip(question).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    let mut all: Vec<(u64, f64)> = vectors
        .iter()
        .filter(|(place, _)| admitted(**place))
        .map(|(place, vector)| (*place, product(vector)))
        .collect();
    all.sort_by(|one, other| other.1.total_cmp(&one.1));
    all
}

fn search(
    matrix: &Matrix,
    vectors: &BTreeMap<u64, Vec<f32>>,
    question: &[f32],
    most: usize,
    admitted: impl Fn(u64) -> bool,
) -> Vec<(u64, f32)> {
    let of = |row: u32| matrix.place(row).unwrap();
    let admitted: Vec<bool> = (0..matrix.count()).map(|row| admitted(of(row as u32))).collect();
    let exactly = |row| Ok::<_, Infallible>(vectors.get(&of(row)).cloned());
    let near = matrix.nearest(question, &admitted, most, exactly).unwrap();
    near.into_iter().map(|near| (of(near.row), near.similarity)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn it_finds_what_comparing_everything_finds(
        seed in any::<u64>(),
        count in 0_usize..400,
        dimensions in 1_usize..80,
        most in 1_usize..30,
        removals in prop::collection::vec(0_u64..400, 0..60),
    ) {
        let mut dice = StdRng::seed_from_u64(seed);
        let (mut matrix, mut vectors) = (Matrix::new(ROOM), BTreeMap::new());
        for place in 0..count as u64 {
            let vector = random(&mut dice, dimensions);
            matrix.put(place, &vector).unwrap();
            vectors.insert(place, vector);
        }
        for place in removals {
            matrix.remove(place);
            vectors.remove(&place);
            // what was taken out comes again under another vector, now and then
            if place % 3 == 0 {
                let vector = random(&mut dice, dimensions);
                matrix.put(place, &vector).unwrap();
                vectors.insert(place, vector);
            }
        }
        prop_assert_eq!(matrix.count(), vectors.len());
        let question = random(&mut dice, dimensions);
        let may = |place: u64| place % 5 != 1;
        let (found, expected) = (search(&matrix, &vectors, &question, most, may), naive(&vectors, &question, may));
        prop_assert_eq!(found.len(), expected.len().min(most));
        for ((place, similarity), (_, wanted)) in found.iter().zip(&expected) {
            prop_assert!((f64::from(*similarity) - wanted).abs() < 1e-5);
            prop_assert!(may(*place));
        }
    }
}

#[test]
fn rows_so_alike_that_their_codes_are_equal_are_told_apart() {
    let (mut matrix, mut vectors) = (Matrix::new(ROOM), BTreeMap::new());
    let mut dice = StdRng::seed_from_u64(3);
    let base = random(&mut dice, 384);
    for place in 0..300_u64 {
        let mut vector = base.clone();
        vector[0] += place as f32 * 1e-6;
        let vector = unit(vector);
        matrix.put(place, &vector).unwrap();
        vectors.insert(place, vector);
    }
    let mut question = vec![0.0; 384];
    question[0] = 1.0;
    let found = search(&matrix, &vectors, &question, 5, |_| true);
    let expected = naive(&vectors, &question, |_| true);
    for (found, expected) in found.iter().zip(expected) {
        assert!((f64::from(found.1) - expected.1).abs() < 1e-7, "{found:?} {expected:?}");
    }
}

#[test]
fn the_greatest_vectors_there_are_overflow_nothing() {
    for dimensions in [1, 15, 384, 4_096] {
        let vector = unit(vec![1.0; dimensions]);
        let mut matrix = Matrix::new(ROOM);
        matrix.put(1, &vector).unwrap();
        let near = matrix.nearest(&vector, &[true], 1, |_| Ok::<_, Infallible>(Some(vector.clone()))).unwrap();
        assert!((near[0].similarity - 1.0).abs() < 1e-4, "{dimensions}: {near:?}");
        let question = Question::of(&vector);
        let scanned = dot(&matrix.codes, &question.codes) as f32 * matrix.steps[0] * question.step;
        assert!((scanned - 1.0).abs() < 1e-2, "{dimensions}: {scanned}");
    }
}

#[test]
fn what_has_no_room_or_other_dimensions_is_refused() {
    let mut matrix = Matrix::new(8);
    matrix.put(1, &[1.0, 0.0]).unwrap();
    assert_eq!(matrix.put(2, &[1.0]), Err(Unfit::Dimensions { got: 1, expected: 2 }));
    for place in 2..=4 {
        matrix.put(place, &[0.0, 1.0]).unwrap();
    }
    assert_eq!(matrix.put(5, &[0.0, 1.0]), Err(Unfit::Full { rows: 4 }));
    matrix.put(4, &[1.0, 0.0]).unwrap(); // in its own stead
    matrix.remove(1);
    matrix.put(5, &[0.0, 1.0]).unwrap();
    assert_eq!(matrix.count(), 4);
    (2..=5).for_each(|place| matrix.remove(place));
    matrix.put(6, &[1.0, 0.0, 0.0]).unwrap(); // an empty one takes any
}

#[test]
fn a_question_of_another_model_finds_nothing() {
    let mut matrix = Matrix::new(ROOM);
    matrix.put(1, &[1.0, 0.0]).unwrap();
    let never = |_| -> Result<Option<Vec<f32>>, Infallible> { unreachable!("nothing is compared") };
    assert_eq!(matrix.nearest(&[1.0], &[true], 3, never).unwrap(), []);
}

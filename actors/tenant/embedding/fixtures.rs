//! A model small enough to be made by each test, and the same forward pass without candle, number by number in twice the
//! precision.
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// Words of the small model; the first three are what every vocabulary of its kind has.
pub(crate) const WORDS: [&str; 8] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "refund", "policy", "the", "##s"];
pub(crate) const WIDTH: usize = 12;
pub(crate) const HEADS: usize = 3;
pub(crate) const INNER: usize = 20;
pub(crate) const LAYERS: usize = 2;
pub(crate) const PLACES: usize = 16;
const EPSILON: f64 = 1e-12;

/// A tensor: its shape and its numbers.
#[derive(Clone, Debug)]
pub(crate) struct Numbers(pub(crate) Vec<usize>, pub(crate) Vec<f32>);

/// The small model's tensors by name, always the same.
pub(crate) fn tensors() -> BTreeMap<String, Numbers> {
    let mut shapes = vec![
        ("embeddings.word_embeddings.weight".to_owned(), vec![WORDS.len(), WIDTH]),
        ("embeddings.position_embeddings.weight".to_owned(), vec![PLACES, WIDTH]),
        ("embeddings.token_type_embeddings.weight".to_owned(), vec![2, WIDTH]),
        ("embeddings.LayerNorm.weight".to_owned(), vec![WIDTH]),
        ("embeddings.LayerNorm.bias".to_owned(), vec![WIDTH]),
    ];
    for layer in 0..LAYERS {
        let name = |part: &str| format!("encoder.layer.{layer}.{part}");
        for part in ["attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"] {
            shapes.push((name(&format!("{part}.weight")), vec![WIDTH, WIDTH]));
            shapes.push((name(&format!("{part}.bias")), vec![WIDTH]));
        }
        for part in ["attention.output.LayerNorm", "output.LayerNorm"] {
            shapes.push((name(&format!("{part}.weight")), vec![WIDTH]));
            shapes.push((name(&format!("{part}.bias")), vec![WIDTH]));
        }
        shapes.push((name("intermediate.dense.weight"), vec![INNER, WIDTH]));
        shapes.push((name("intermediate.dense.bias"), vec![INNER]));
        shapes.push((name("output.dense.weight"), vec![WIDTH, INNER]));
        shapes.push((name("output.dense.bias"), vec![WIDTH]));
    }
    let mut state = 20_261_126_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1_u64 << 24) as f32 - 0.5
    };
    let filled = |(name, shape): (String, Vec<usize>)| {
        let numbers = (0..shape.iter().product::<usize>()).map(|_| next()).collect();
        (name, Numbers(shape, numbers))
    };
    shapes.into_iter().map(filled).collect()
}

/// Tensors as a file in safetensors: a header in JSON behind its length, then the numbers.
pub(crate) fn safetensors(tensors: &BTreeMap<String, Numbers>) -> Vec<u8> {
    let (mut header, mut body) = (serde_json::Map::new(), Vec::new());
    for (name, Numbers(shape, numbers)) in tensors {
        let begin = body.len();
        body.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
        header.insert(name.clone(), json!({"dtype": "F32", "shape": shape, "data_offsets": [begin, body.len()]}));
    }
    let header = Value::Object(header).to_string();
    [&u64::try_from(header.len()).unwrap().to_le_bytes(), header.as_bytes(), &body].concat()
}

/// The small model's `config.json`.
pub(crate) fn config() -> Value {
    json!({
        "model_type": "bert", "hidden_act": "gelu", "vocab_size": WORDS.len(), "hidden_size": WIDTH,
        "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "intermediate_size": INNER,
        "max_position_embeddings": PLACES, "type_vocab_size": 2, "layer_norm_eps": EPSILON,
    })
}

/// The small model's `tokenizer.json`: words in pieces, with padding and truncation of somebody else's.
pub(crate) fn tokenizer() -> Value {
    let vocab: serde_json::Map<String, Value> =
        WORDS.iter().enumerate().map(|(id, word)| ((*word).to_owned(), json!(id))).collect();
    let special = |id: usize| {
        json!({"id": id, "content": WORDS[id], "special": true, "single_word": false, "lstrip": false, "rstrip": false,
               "normalized": false})
    };
    let cls_and_sep = json!([
        {"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
        {"SpecialToken": {"id": "[SEP]", "type_id": 0}},
    ]);
    json!({
        "version": "1.0",
        "truncation": {"max_length": 5, "strategy": "LongestFirst", "stride": 0},
        "padding": {"strategy": {"Fixed": 9}, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0,
                    "pad_type_id": 0, "pad_token": "[PAD]"},
        "added_tokens": (0..4).map(special).collect::<Vec<_>>(),
        "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
                       "strip_accents": null, "lowercase": true},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "TemplateProcessing", "single": cls_and_sep, "pair": cls_and_sep,
            "special_tokens": {"[CLS]": {"id": "[CLS]", "ids": [2], "tokens": ["[CLS]"]},
                               "[SEP]": {"id": "[SEP]", "ids": [3], "tokens": ["[SEP]"]}}},
        "decoder": null,
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": 100, "vocab": vocab},
    })
}

/// Writes the small model into a folder.
pub(crate) fn write_model(folder: &Path) {
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join("config.json"), config().to_string()).unwrap();
    std::fs::write(folder.join("tokenizer.json"), tokenizer().to_string()).unwrap();
    std::fs::write(folder.join("model.safetensors"), safetensors(&tensors())).unwrap();
}

/// The direction of one text, computed without candle, kernels or batches.
pub(crate) fn direction(tensors: &BTreeMap<String, Numbers>, tokens: &[u32]) -> Vec<f64> {
    let get = |name: &str| &tensors[name];
    let row = |name: &str, number: usize| -> Vec<f64> {
        let Numbers(shape, numbers) = get(name);
        numbers[number * shape[1]..(number + 1) * shape[1]].iter().copied().map(f64::from).collect()
    };
    let dense = |name: &str, input: &[f64]| -> Vec<f64> {
        let bias = &get(&format!("{name}.bias")).1;
        let weight = format!("{name}.weight");
        (0..bias.len()).map(|out| dot(&row(&weight, out), input) + f64::from(bias[out])).collect()
    };
    let norm = |name: &str, input: &[f64]| -> Vec<f64> {
        let (scale, shift) = (&get(&format!("{name}.weight")).1, &get(&format!("{name}.bias")).1);
        let mean = input.iter().sum::<f64>() / input.len() as f64;
        let variance = input.iter().map(|number| (number - mean).powi(2)).sum::<f64>() / input.len() as f64;
        (0..input.len())
            .map(|at| (input[at] - mean) / (variance + EPSILON).sqrt() * f64::from(scale[at]) + f64::from(shift[at]))
            .collect()
    };
    let mut state: Vec<Vec<f64>> = tokens
        .iter()
        .enumerate()
        .map(|(place, token)| {
            let words = row("embeddings.word_embeddings.weight", *token as usize);
            let sum = added(&words, &row("embeddings.position_embeddings.weight", place));
            norm("embeddings.LayerNorm", &added(&sum, &row("embeddings.token_type_embeddings.weight", 0)))
        })
        .collect();
    for layer in 0..LAYERS {
        let name = |part: &str| format!("encoder.layer.{layer}.{part}");
        let all = |part: &str| state.iter().map(|input| dense(&name(part), input)).collect::<Vec<_>>();
        let (queries, keys, values) =
            (all("attention.self.query"), all("attention.self.key"), all("attention.self.value"));
        let head = WIDTH / HEADS;
        state = (0..state.len())
            .map(|at| {
                let mut mixed = vec![0.0; WIDTH];
                for number in 0..HEADS {
                    let part = number * head..(number + 1) * head;
                    let scores: Vec<f64> = keys
                        .iter()
                        .map(|key| (dot(&queries[at][part.clone()], &key[part.clone()]) / (head as f64).sqrt()).exp())
                        .collect();
                    let sum: f64 = scores.iter().sum();
                    for (score, value) in scores.iter().zip(&values) {
                        for index in part.clone() {
                            mixed[index] += score / sum * value[index];
                        }
                    }
                }
                let attended = added(&dense(&name("attention.output.dense"), &mixed), &state[at]);
                let attended = norm(&name("attention.output.LayerNorm"), &attended);
                let wide: Vec<f64> = dense(&name("intermediate.dense"), &attended).into_iter().map(gelu).collect();
                norm(&name("output.LayerNorm"), &added(&dense(&name("output.dense"), &wide), &attended))
            })
            .collect();
    }
    let sum = state.iter().fold(vec![0.0; WIDTH], |sum, row| added(&sum, row));
    let length = dot(&sum, &sum).sqrt();
    sum.into_iter().map(|number| number / length).collect()
}

fn dot(one: &[f64], other: &[f64]) -> f64 {
    one.iter().zip(other).map(|(one, other)| one * other).sum()
}

fn added(one: &[f64], other: &[f64]) -> Vec<f64> {
    one.iter().zip(other).map(|(one, other)| one + other).collect()
}

fn gelu(number: f64) -> f64 {
    0.5 * number * (1.0 + erf(number * std::f64::consts::FRAC_1_SQRT_2))
}

/// erf by its series.
pub(crate) fn erf(number: f64) -> f64 {
    let (mut term, mut sum) = (number, number);
    for n in 1..200 {
        let n = f64::from(n);
        term *= -number * number / n;
        sum += term / (2.0 * n + 1.0);
    }
    sum * std::f64::consts::FRAC_2_SQRT_PI
}

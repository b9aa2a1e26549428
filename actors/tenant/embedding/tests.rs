//! A small model made here, against the same arithmetic without candle; what is refused, and that nothing changed is used.
use super::fixtures::{self, Numbers, WIDTH, config, direction, safetensors, tensors, tokenizer, write_model};
use super::{Embedder, LocalModel, ModelError, Registered};
use serde_json::{Value, json};
use std::path::Path;

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    write_model(folder.path());
    folder
}

fn put(folder: &Path, name: &str, text: impl AsRef<[u8]>) {
    let file = folder.join(name);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, text).unwrap();
}

fn refused(folder: &Path) -> String {
    LocalModel::try_out(folder).map(|_model| ()).unwrap_err().to_string()
}

#[test]
fn directions_are_those_of_the_arithmetic_without_candle() {
    let folder = folder();
    let model = LocalModel::try_out(folder.path()).unwrap();
    let texts = ["refund policy", "the refunds", "", "something else the policy the policy", "policy"];
    let tokens: Vec<Vec<u32>> = texts.iter().map(|text| model.tokens(text).unwrap()).collect();
    assert_eq!(tokens[0], [2, 4, 5, 3], "nobody else's padding");
    assert_eq!(tokens[1], [2, 6, 4, 7, 3]);
    assert_eq!(tokens[2], [2, 3]);
    let batch: Vec<&[u32]> = tokens.iter().map(Vec::as_slice).collect();
    let together = model.encode(&batch).unwrap();
    for (at, tokens) in tokens.iter().enumerate() {
        let exact = direction(&tensors(), tokens);
        let alone = model.encode(&[tokens.as_slice()]).unwrap();
        assert_eq!(alone[0].len(), WIDTH);
        for (number, exact) in exact.iter().enumerate() {
            for ours in [together[at][number], alone[0][number]] {
                assert!((f64::from(ours) - exact).abs() < 2e-5, "{}: {ours} {exact}", texts[at]);
            }
        }
    }
}

#[test]
fn a_long_text_is_cut_where_the_model_ends() {
    let folder = folder();
    let model = LocalModel::try_out(folder.path()).unwrap();
    assert_eq!(model.card().tokens_max, fixtures::PLACES);
    let tokens = model.tokens(&"the policy ".repeat(100_000)).unwrap();
    assert_eq!((tokens.len(), tokens[0], tokens[fixtures::PLACES - 1]), (fixtures::PLACES, 2, 3));
    put(folder.path(), "sentence_bert_config.json", json!({"max_seq_length": 7}).to_string());
    let model = LocalModel::try_out(folder.path()).unwrap();
    assert_eq!(model.tokens(&"the policy ".repeat(9)).unwrap().len(), 7);
}

#[test]
fn what_is_no_model_of_this_kind_is_refused_and_why() {
    let with = |field: &str, value: Value| {
        let mut config = config();
        config[field] = value;
        config.to_string()
    };
    let mut bigger = tokenizer();
    bigger["model"]["vocab"]["extra"] = json!(fixtures::WORDS.len());
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("config.json", with("model_type", json!("roberta")).into(), "only \"bert\" is computed"),
        ("config.json", with("hidden_act", json!("relu")).into(), "only \"gelu\" is computed"),
        ("config.json", with("position_embedding_type", json!("relative_key")).into(), "only \"absolute\" is computed"),
        ("config.json", with("num_attention_heads", json!(5)).into(), "no multiple"),
        ("config.json", with("num_hidden_layers", json!(1_000_000)).into(), "it has to be 1 to 24"),
        ("config.json", with("layer_norm_eps", json!(-1.0)).into(), "layer_norm_eps"),
        ("config.json", with("hidden_size", json!(24)).into(), "take all files from the same model"),
        ("config.json", with("num_hidden_layers", json!(3)).into(), "encoder.layer.2"),
        ("config.json", b"{".to_vec(), "EOF"),
        ("tokenizer.json", bigger.to_string().into(), "take both from the same model"),
        ("tokenizer.json", b"{}".to_vec(), "tokenizer.json"),
        ("model.safetensors", b"not weights".to_vec(), "model.safetensors"),
        (
            "modules.json",
            json!([{"type": "a.Transformer"}, {"type": "a.Pooling"}, {"type": "a.Dense"}]).to_string().into(),
            "only Transformer, Pooling and Normalize",
        ),
        ("1_Pooling/config.json", json!({"pooling_mode_cls_token": true}).to_string().into(), "pooling_mode_cls_token"),
        ("sentence_bert_config.json", json!({"max_seq_length": 2}).to_string().into(), "no text fits"),
    ];
    for (file, bytes, words) in cases {
        let folder = folder();
        put(folder.path(), file, bytes);
        let refusal = refused(folder.path());
        assert!(refusal.contains(words), "{file}: {refusal}");
    }
    let folder = folder();
    std::fs::remove_file(folder.path().join("tokenizer.json")).unwrap();
    assert!(refused(folder.path()).contains("name a folder that has it"));
}

#[test]
fn weights_that_come_to_no_direction_are_refused() {
    for spoilt in [f32::NAN, f32::INFINITY] {
        let folder = folder();
        let mut tensors = tensors();
        let Numbers(_, numbers) = tensors.get_mut("encoder.layer.1.output.LayerNorm.bias").unwrap();
        numbers[3] = spoilt;
        put(folder.path(), "model.safetensors", safetensors(&tensors));
        assert!(refused(folder.path()).contains("no direction"), "{spoilt}");
    }
}

#[test]
fn a_model_is_found_again_by_name_and_is_the_same() {
    let (data, folder) = (tempfile::tempdir().unwrap(), folder());
    let added = Registered::add(data.path(), "small", folder.path()).unwrap();
    let found = Registered::find(data.path(), "small").unwrap();
    assert_eq!((found.card(), found.folder()), (added.card(), added.folder()));
    assert_eq!((found.card().dimension, found.card().digest.len()), (WIDTH, 64));
    assert!(std::sync::Arc::ptr_eq(&found.service().unwrap(), &found.service().unwrap()), "its weights are read once");
    Registered::add(data.path(), "another", folder.path()).unwrap();
    let names: Vec<String> = Registered::all(data.path()).unwrap().iter().map(|one| one.name().to_owned()).collect();
    assert_eq!(names, ["another", "small"]);
    assert_eq!(Registered::find(data.path(), "third").unwrap_err(), ModelError::Unknown(String::from("third")),);
    for name in ["", "..", ".hidden", "a/b", "a b", &"x".repeat(101)] {
        assert!(matches!(Registered::add(data.path(), name, folder.path()), Err(ModelError::Register(_))), "{name}");
    }
}

#[test]
fn a_model_whose_files_changed_is_refused_until_it_is_added_again() {
    let (data, folder) = (tempfile::tempdir().unwrap(), folder());
    Registered::add(data.path(), "small", folder.path()).unwrap();
    let refusal = |file: &str| ModelError::Changed { model: String::from("small"), file: String::from(file) };
    let opened = || Registered::find(data.path(), "small").unwrap().service().map(|_service| ());
    let mut other = tensors();
    other.get_mut("embeddings.word_embeddings.weight").unwrap().1[0] += 0.001;
    put(folder.path(), "model.safetensors", safetensors(&other));
    assert_eq!(opened(), Err(refusal("model.safetensors")));
    Registered::add(data.path(), "small", folder.path()).unwrap();
    assert_eq!(opened(), Ok(()));
    put(folder.path(), "sentence_bert_config.json", json!({"max_seq_length": 8}).to_string());
    assert_eq!(opened(), Err(refusal("sentence_bert_config.json")), "a file that was not there counts, too");
}

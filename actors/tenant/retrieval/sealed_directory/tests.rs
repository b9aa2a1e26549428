//! The sealed directory against tantivy's own in-memory one, and against whoever edits its files.
use super::*;
use bailiwick_kernel::ids::TenantKey;
use std::fs;
use tantivy::collector::TopDocs;
use tantivy::directory::RamDirectory;
use tantivy::query::QueryParser;
use tantivy::schema::{STORED, STRING, Schema, TEXT, Value};
use tantivy::{Index, IndexReader, IndexSettings, ReloadPolicy, TantivyDocument, Term, doc};

#[expect(clippy::disallowed_methods, reason = "test")]
fn cipher_of(tenant: u128, master: u8) -> Cipher {
    Cipher::derive(&[master; 32], TenantKey::mint(uuid::Uuid::from_u128(tenant))).unwrap()
}

fn sealed(folder: &Path) -> SealedDirectory {
    SealedDirectory::open(folder, cipher_of(1, 7)).unwrap()
}

fn schema() -> Schema {
    let mut builder = Schema::builder();
    builder.add_text_field("id", STRING | STORED);
    builder.add_text_field("body", TEXT | STORED);
    builder.build()
}

const WORDS: [&str; 8] =
    ["harbourmaster", "quarantine", "lighthouse", "ledger", "tidewater", "customs", "pilotage", "manifest"];

fn fill(index: &Index, documents: usize) {
    let (id, body) = (index.schema().get_field("id").unwrap(), index.schema().get_field("body").unwrap());
    let mut writer = index.writer_with_num_threads::<TantivyDocument>(1, 15_000_000).unwrap();
    for number in 0..documents {
        let words: Vec<&str> = (0..12).map(|n| WORDS[(number * 7 + n * n) % WORDS.len()]).collect();
        writer.add_document(doc!(id => format!("d{number}"), body => words.join(" "))).unwrap();
        if number % 100 == 99 {
            writer.commit().unwrap();
        }
    }
    writer.delete_term(Term::from_field_text(id, "d3"));
    writer.commit().unwrap();
    writer.wait_merging_threads().unwrap();
}

fn reader(index: &Index) -> IndexReader {
    index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into().unwrap()
}

fn ids(index: &Index, query: &str) -> Vec<String> {
    let (id, body) = (index.schema().get_field("id").unwrap(), index.schema().get_field("body").unwrap());
    let searcher = reader(index).searcher();
    let query = QueryParser::for_index(index, vec![body]).parse_query(query).unwrap();
    let hits = searcher.search(&query, &TopDocs::with_limit(1_000).order_by_score()).unwrap();
    let fetch = |address| searcher.doc::<TantivyDocument>(address).unwrap();
    let mut found: Vec<String> =
        hits.iter().map(|(_, at)| fetch(*at).get_first(id).unwrap().as_str().unwrap().to_owned()).collect();
    found.sort();
    found
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| fs::metadata(path).unwrap().len() > 0).collect()
}

/// Writes one write-once file through the directory.
fn put(directory: &SealedDirectory, name: &str, bytes: &[u8]) {
    let mut writer = directory.open_write(Path::new(name)).unwrap();
    writer.write_all(bytes).unwrap();
    writer.terminate().unwrap();
}

fn get(directory: &SealedDirectory, name: &str) -> Result<Vec<u8>, OpenReadError> {
    Ok(directory.open_read(Path::new(name))?.read_bytes().unwrap().to_vec())
}

fn refusal(directory: &SealedDirectory, name: &str) -> String {
    get(directory, name).unwrap_err().to_string()
}

#[test]
fn a_sealed_index_answers_like_a_plain_one_also_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let plain = Index::create(RamDirectory::create(), schema(), IndexSettings::default()).unwrap();
    let index = Index::create(sealed(folder.path()), schema(), IndexSettings::default()).unwrap();
    fill(&plain, 450);
    fill(&index, 450);
    let reopened = Index::open(sealed(folder.path())).unwrap();
    for query in
        ["ledger", "\"customs ledger\"", "lighthouse AND NOT manifest", "id:d3", "absent", "tidewater pilotage"]
    {
        let expected = ids(&plain, query);
        assert_eq!(ids(&index, query), expected, "{query}");
        assert_eq!(ids(&reopened, query), expected, "{query}");
    }
    assert!(!ids(&plain, "ledger").is_empty());
    assert!(reopened.validate_checksum().unwrap().is_empty());
}

#[test]
fn no_word_of_a_document_or_of_the_schema_stands_on_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    fill(&Index::create(sealed(folder.path()), schema(), IndexSettings::default()).unwrap(), 120);
    let names = ["body", "segments", "opstamp", "tokenizer"];
    assert!(files(folder.path()).len() > 8);
    for path in files(folder.path()) {
        let bytes = fs::read(&path).unwrap();
        for word in WORDS.iter().chain(&names).filter(|word| word.len() > 4) {
            assert!(
                !bytes.windows(word.len()).any(|window| window == AsRef::<[u8]>::as_ref(&**word)),
                "{word} in {path:?}"
            );
        }
    }
}

#[test]
fn a_flipped_bit_anywhere_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    fill(&Index::create(sealed(folder.path()), schema(), IndexSettings::default()).unwrap(), 60);
    for path in files(folder.path()) {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let bytes = fs::read(&path).unwrap();
        for at in (0..bytes.len()).step_by((bytes.len() / 60).max(1)).chain([bytes.len() - 1]) {
            let mut altered = bytes.clone();
            altered[at] ^= 1 << (at % 8);
            fs::write(&path, &altered).unwrap();
            let directory = sealed(folder.path());
            let error = if name.ends_with(".json") {
                directory.atomic_read(Path::new(&name)).unwrap_err().to_string()
            } else {
                refusal(&directory, &name)
            };
            assert!(error.contains("opening the sealed index file"), "{name} at {at}: {error}");
        }
        fs::write(&path, &bytes).unwrap();
    }
    Index::open(sealed(folder.path())).unwrap();
}

#[test]
fn another_tenants_cipher_or_another_master_key_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let directory = sealed(folder.path());
    put(&directory, "a", b"of tenant one");
    directory.atomic_write(Path::new("meta.json"), b"{}").unwrap();
    for cipher in [cipher_of(2, 7), cipher_of(1, 8)] {
        let other = SealedDirectory::open(folder.path(), cipher).unwrap();
        assert!(refusal(&other, "a").contains("authentication failed"));
        let error = other.atomic_read(Path::new("meta.json")).unwrap_err().to_string();
        assert!(error.contains("authentication failed"), "{error}");
    }
    assert_eq!(get(&sealed(folder.path()), "a").unwrap(), b"of tenant one");
}

#[test]
fn sizes_around_a_frame_come_back_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    for size in [0, 1, FRAME_BYTES - 1, FRAME_BYTES, FRAME_BYTES + 1, 2 * FRAME_BYTES, 3 * FRAME_BYTES + 5] {
        let bytes: Vec<u8> = (0..size).map(|n| (n % 251) as u8).collect();
        let name = format!("file{size}");
        put(&sealed(folder.path()), &name, &bytes);
        assert_eq!(get(&sealed(folder.path()), &name).unwrap(), bytes, "{size}");
    }
}

#[test]
fn a_file_that_was_cut_swapped_reordered_or_lengthened_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let directory = sealed(folder.path());
    let bytes: Vec<u8> = (0..3 * FRAME_BYTES).map(|n| (n % 253) as u8).collect();
    put(&directory, "a", &bytes);
    put(&directory, "b", &bytes);
    let (a, b) = (folder.path().join("a"), folder.path().join("b"));
    let (whole_a, whole_b) = (fs::read(&a).unwrap(), fs::read(&b).unwrap());
    let frame = |file: &[u8], n: usize| file[HEADER_BYTES + n * SEALED_FRAME_BYTES..][..SEALED_FRAME_BYTES].to_vec();
    let header = &whole_a[..HEADER_BYTES];

    let mut cases: Vec<(&str, Vec<u8>)> = vec![
        ("another file", whole_b.clone()),
        ("frames changed places", [header, &frame(&whole_a, 1), &frame(&whole_a, 0), &frame(&whole_a, 2)].concat()),
        ("a frame was dropped", [header, &frame(&whole_a, 0), &frame(&whole_a, 2)].concat()),
        ("a frame of another file", [header, &frame(&whole_b, 0), &frame(&whole_a, 1), &frame(&whole_a, 2)].concat()),
        ("a frame was added", [whole_a.as_slice(), &frame(&whole_a, 2)].concat()),
        ("a byte was added", [whole_a.as_slice(), b"x"].concat()),
        ("plain text", b"not sealed at all, but long enough for a header".to_vec()),
    ];
    for length in [0, 3, HEADER_BYTES, HEADER_BYTES + 5, HEADER_BYTES + SEALED_FRAME_BYTES, whole_a.len() - 1] {
        cases.push(("cut", whole_a[..length].to_vec()));
    }
    for (what, file) in cases {
        fs::write(&a, file).unwrap();
        assert!(refusal(&sealed(folder.path()), "a").contains("opening the sealed index file"), "{what}");
    }
    fs::write(&a, &whole_a).unwrap();
    assert_eq!(get(&sealed(folder.path()), "a").unwrap(), bytes);
    let error = get(&directory, "absent").unwrap_err();
    assert!(matches!(error, OpenReadError::FileDoesNotExist(_)), "{error}");
}

#[test]
fn a_file_whose_writer_died_before_the_end_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let directory = sealed(folder.path());
    let mut writer = directory.open_write(Path::new("torn")).unwrap();
    writer.write_all(&vec![5; 2 * FRAME_BYTES + 9]).unwrap();
    drop(writer);
    assert!(refusal(&directory, "torn").contains("opening the sealed index file"));
}

#[test]
fn open_files_are_shared_and_forgotten_with_their_last_reader() {
    let folder = tempfile::tempdir().unwrap();
    let directory = sealed(folder.path());
    put(&directory, "a", &[1; 1_000]);
    let first = directory.open_read(Path::new("a")).unwrap().read_bytes().unwrap();
    let second = directory.clone().open_read(Path::new("a")).unwrap().read_bytes().unwrap();
    assert_eq!(first.as_ptr(), second.as_ptr());
    assert_eq!(directory.open_bytes(), 1_000);
    directory.delete(Path::new("a")).unwrap();
    assert_eq!(first.as_slice(), [1; 1_000]);
    drop((first, second));
    assert_eq!(directory.open_bytes(), 0);
    put(&directory, "a", b"anew");
    assert_eq!(get(&directory, "a").unwrap(), b"anew");
}

#[test]
fn a_second_writer_of_one_index_is_refused_while_the_first_lives() {
    let folder = tempfile::tempdir().unwrap();
    let index = Index::create(sealed(folder.path()), schema(), IndexSettings::default()).unwrap();
    let first = index.writer_with_num_threads::<TantivyDocument>(1, 15_000_000).unwrap();
    let other = Index::open(sealed(folder.path())).unwrap();
    assert!(other.writer_with_num_threads::<TantivyDocument>(1, 15_000_000).is_err());
    drop(first);
    assert!(other.writer_with_num_threads::<TantivyDocument>(1, 15_000_000).is_ok());
}

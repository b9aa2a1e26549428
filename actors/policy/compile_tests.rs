use super::*;
use proptest::prelude::*;
use std::path::Path;

fn folder(name: &str) -> FileTexts {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tenants").join(name);
    FILES.iter().map(|file| ((*file).to_owned(), std::fs::read_to_string(root.join(file)).unwrap())).collect()
}

/// The acme folder with one text replaced by another; the text must be there.
fn changed(file: &str, from: &str, to: &str) -> FileTexts {
    let mut texts = folder("acme-corp");
    let text = texts.get_mut(file).unwrap();
    assert!(text.contains(from), "{file} has no {from:?}");
    *text = text.replacen(from, to, 1);
    texts
}

fn errors(texts: &FileTexts) -> Vec<String> {
    compile("acme-corp", texts).err().unwrap_or_default().iter().map(ToString::to_string).collect()
}

#[test]
fn the_three_tenants_compile_without_a_warning() {
    for (name, version, status) in
        [("default", "1.0.0", Plan::Free), ("acme-corp", "1.2.3", Plan::Enterprise), ("beta-inc", "2.0.1", Plan::Pro)]
    {
        let snapshot = compile(name, &folder(name)).unwrap_or_else(|errors| panic!("{name}: {errors:#?}"));
        assert_eq!((snapshot.version.as_str(), snapshot.tenant.plan), (version, status));
        assert_eq!(snapshot.warnings, [], "{name}");
        assert_eq!(snapshot.digest.len(), 64);
        assert_eq!(snapshot.tenant.id.get_version_num(), 4, "{name}");
        assert_eq!(snapshot.router.routing.primary.provider, "extractive", "{name} must work without key and network");
    }
}

//! The ledger: durable, chained, nameless, and beside its copies.
use super::*;
use std::path::Path;
use std::sync::Arc;

fn keys() -> LedgerKeys {
    LedgerKeys::new(&Zeroizing::new([1; 32]), &Zeroizing::new([2; 32]))
}

#[expect(clippy::disallowed_methods, reason = "test")]
fn tenant(number: u128) -> TenantKey {
    TenantKey::mint(uuid::Uuid::from_u128(number))
}

fn asked(name: &str) -> Event {
    let mark = keys().mark(tenant(1), Of::Subject, name).to_string();
    Event::Asked { of: Of::Subject, mark, request: "er-1".into(), stored_by_unix_ms: 7 }
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn what_is_noted_is_read_again_and_names_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    let ledger = Ledger::open(&path, keys()).unwrap();
    ledger.note(tenant(1), vec![asked("jane@example.org"), Event::TenantDestroyed], 5).unwrap();
    ledger.note(tenant(2), vec![Event::TenantDestroyed], 6).unwrap();
    assert!(!text(&path).contains("jane"));
    let lines = Ledger::open(&path, keys()).unwrap().lines().unwrap();
    assert_eq!(lines.iter().map(|line| (line.number, line.at_unix_ms)).collect::<Vec<_>>(), [(0, 5), (1, 5), (2, 6)]);
    assert_eq!((&lines[0].event, lines[2].tenant.clone()), (&asked("jane@example.org"), tenant(2).to_hex()));
    let marks = [(1, Of::Subject, "a"), (1, Of::Document, "a"), (2, Of::Subject, "a"), (1, Of::Subject, "b")];
    let marks: std::collections::BTreeSet<_> =
        marks.into_iter().map(|(number, of, name)| keys().mark(tenant(number), of, name)).collect();
    assert_eq!(marks.len(), 4, "a mark is bound to tenant, kind and name");
    let other = LedgerKeys::new(&Zeroizing::new([3; 32]), &Zeroizing::new([2; 32]));
    assert_ne!(other.mark(tenant(1), Of::Subject, "a"), keys().mark(tenant(1), Of::Subject, "a"));
}

#[test]
fn every_edit_exchange_and_gap_is_found_and_a_torn_line_is_cut() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    let ledger = Ledger::open(&path, keys()).unwrap();
    for name in ["a", "b", "c"] {
        ledger.note(tenant(1), vec![asked(name)], 5).unwrap();
    }
    let whole = text(&path);
    let lines: Vec<&str> = whole.lines().collect();
    let written = |lines: &[&str]| lines.join("\n") + "\n";
    for wrong in [
        written(&[lines[1], lines[0], lines[2]]),
        written(&[lines[0], lines[2]]),
        written(&[lines[1], lines[2]]),
        whole.replacen("\"at_unix_ms\":5", "\"at_unix_ms\":6", 1),
        written(&[lines[0], "{}"]),
    ] {
        assert!(keys().read(&wrong).is_err(), "{wrong}");
    }
    assert!(LedgerKeys::new(&Zeroizing::new([1; 32]), &Zeroizing::new([9; 32])).read(&whole).is_err());
    assert_eq!(keys().read(&written(&lines[..2])).unwrap().1.lines, 2, "a missing end is told by whoever knows of it");
    std::fs::write(&path, &whole[..whole.len() - 5]).unwrap();
    let mended = Ledger::open(&path, keys()).unwrap();
    assert_eq!(mended.head().lines, 2);
    mended.note(tenant(1), vec![asked("d")], 5).unwrap();
    assert_eq!(Ledger::open(&path, keys()).unwrap().head(), mended.head());
}

#[test]
fn copies_are_kept_in_step_and_catch_up() {
    let folder = tempfile::tempdir().unwrap();
    let (path, beside) = (folder.path().join(FILE), folder.path().join("backup"));
    let ledger = Arc::new(Ledger::open(&path, keys()).unwrap());
    let rooms = TenantErasures::new(Arc::clone(&ledger), tenant(1));
    rooms.note(vec![asked("a")], 5).unwrap();
    ledger.keep_copies(vec![beside.join(FILE)]);
    rooms.note(vec![asked("b")], 5).unwrap();
    assert!(!beside.exists(), "what cannot be reached keeps nobody from erasing");
    std::fs::create_dir(&beside).unwrap();
    rooms.note(vec![asked("c")], 5).unwrap();
    rooms.note(vec![asked("d")], 5).unwrap();
    assert_eq!(text(&beside.join(FILE)), text(&path));
    assert_eq!(rooms.mark(Of::Subject, "a"), keys().mark(tenant(1), Of::Subject, "a"));
    assert_ne!(rooms.request_id(Of::Subject, "a", 1), rooms.request_id(Of::Subject, "a", 2));
}

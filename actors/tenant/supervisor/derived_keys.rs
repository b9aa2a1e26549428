//! Under which keys of the derived shelf it stands. All kinds there are on it are here, so that no two are the same.
use super::repeats::name::Name;
use crate::budget::accounts::Account;
use bailiwick_kernel::ids::{Position, QueryId};
use bailiwick_kernel::shelf::Key;
use bailiwick_kernel::transparency::tree::TileId;

/// Another name whenever the form of what is saved changes: what an earlier build saved is then replayed, not misread.
pub(super) const FOLD: Key = Key::of("fold-12");
/// A day's rows of spend.
pub(super) const SPEND: Key = Key::of("spend");
/// What an account spent on a day.
pub(super) const ACCOUNTS: Key = Key::of("account");
/// Holds that are open.
pub(super) const OPEN: Key = Key::of("hold");
/// Documents that have lost trust.
pub(super) const DISTRUSTED: Key = Key::of("distrusted");

/// An end of a request for erasure.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum End {
    /// It was asked for.
    Asked,
    /// Nothing is left of what it is about.
    Ended,
}

pub(super) fn key_of_erasure(id: &str, end: End) -> Key {
    let kind = match end {
        End::Asked => "erasure-asked",
        End::Ended => "erasure-ended",
    };
    Key::of(kind).name(id)
}

/// Where records of a question stand; of all of them without a position.
pub(super) fn key_of(query: QueryId, position: Option<Position>) -> Key {
    at(Key::of("question").name(query.0.as_bytes()), position)
}

/// Where lines of a question of another system stand: its name is a text of any form.
pub(super) fn key_of_imported(query_id: &str, position: Option<Position>) -> Key {
    at(Key::of("imported").name(query_id), position)
}

/// The answers that a request with an approval came to; all of them without a position.
pub(super) fn key_of_carried_out(approval_id: &str, position: Option<Position>) -> Key {
    at(Key::of("carried-out").name(approval_id), position)
}

/// When a document was erased last.
pub(super) fn key_of_erased(document_id: &str) -> Key {
    Key::of("erased").name(document_id)
}

/// When a document was removed last, for whatever reason.
pub(super) fn key_of_removed(document_id: &str) -> Key {
    Key::of("removed").name(document_id)
}

/// Where the reply of a repeated call stands.
pub(super) fn key_of_repeat(name: &Name) -> Key {
    Key::of("repeat").name(name.as_bytes())
}

/// Who stands in a slot of the ring of kept replies.
pub(super) fn key_of_slot(slot: u64) -> Key {
    Key::of("slot").number(slot)
}

pub(super) fn key_of_tile(id: TileId) -> Key {
    Key::of("tile").number(u64::from(id.level)).number(id.number)
}

pub(super) fn key_of_account(account: &Account, day: u32) -> Key {
    ACCOUNTS.name(account.to_key()).number(u64::from(day))
}

pub(super) fn key_of_open(number: u64) -> Key {
    OPEN.number(number)
}

pub(super) fn key_of_distrusted(number: u64) -> Key {
    DISTRUSTED.number(number)
}

pub(super) fn key_of_day(day: u64) -> Key {
    SPEND.number(day)
}

fn at(key: Key, position: Option<Position>) -> Key {
    match position {
        Some(position) => key.number(position.0),
        None => key,
    }
}

//! Under which keys of the derived shelf it stands.
use crate::budget::accounts::Account;
use bailiwick_kernel::ids::{Position, QueryId};

/// Another name whenever the form of what is saved changes: what an earlier build saved is then replayed, not misread.
pub(super) const FOLD_KEY: &[u8] = b"fold-10";
pub(super) const QUERY_PREFIX: u8 = b'q';
pub(super) const SPEND_PREFIX: u8 = b's';
pub(super) const ACCOUNT_PREFIX: u8 = b'a';
pub(super) const OPEN_PREFIX: u8 = b'h';
pub(super) const DISTRUST_PREFIX: u8 = b't';
pub(super) const ERASURE_PREFIX: u8 = b'e';

/// Which end of a request for erasure a key is of.
pub(super) const ASKED: u8 = b'a';
pub(super) const ENDED: u8 = b'e';

pub(super) fn key_of_erasure(id: &str, which: u8) -> Vec<u8> {
    [&[ERASURE_PREFIX, which], id.as_bytes()].concat()
}

pub(super) fn key_of(query: QueryId, position: Option<Position>) -> Vec<u8> {
    let mut key = vec![QUERY_PREFIX];
    key.extend_from_slice(query.0.as_bytes());
    key.extend(position.into_iter().flat_map(|position| position.0.to_be_bytes()));
    key
}

pub(super) fn key_of_account(account: &Account, day: u32) -> Vec<u8> {
    [&[ACCOUNT_PREFIX], account.to_key().as_slice(), &[0], &day.to_be_bytes()].concat()
}

pub(super) fn key_of_open(number: u32) -> Vec<u8> {
    [&[OPEN_PREFIX], number.to_be_bytes().as_slice()].concat()
}

pub(super) fn key_of_distrusted(number: u32) -> Vec<u8> {
    [&[DISTRUST_PREFIX], number.to_be_bytes().as_slice()].concat()
}

pub(super) fn key_of_day(day: u64) -> Vec<u8> {
    let mut key = vec![SPEND_PREFIX];
    key.extend(day.to_be_bytes());
    key
}

/// The number a key ends with.
pub(super) fn number_of(key: &[u8]) -> Option<u64> {
    let (_, last) = key.split_last_chunk::<8>()?;
    Some(u64::from_be_bytes(*last))
}

pub(super) fn position_of(key: &[u8]) -> Option<Position> {
    number_of(key).map(Position)
}

//! Every field of the product that bears an id of something a tenant owns, and the ways to write somebody else's id into
//! it. The table is read by the tests of three levels (`actors/tenant/supervisor/foreign_tests`,
//! `actors/control/registry/foreign_fields_tests.rs`, `tests/foreign.rs`); each runs every row of its level as often as
//! it says.
//!
//! Which id is drawn and how it is written follows from the field and the number of the attempt: what hit is tried again
//! by running the test again. Names the house draws itself, of questions and keys, are others in every run; a hit says
//! which one it was.
#![allow(dead_code, reason = "each level uses its part")]

/// Where a row is tried.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Level {
    /// At one tenant's supervisor, beside another on the same vault.
    Tenant,
    /// At the registry: who is let in where, and what its keys govern.
    Registry,
    /// Over HTTP, through the real binary.
    Http,
}

/// One field.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Where it is tried.
    pub level: Level,
    /// The field: of a message, of a claim, or of a request.
    pub name: &'static str,
    /// How it is asked, and what an attempt may not bring about.
    pub how: &'static str,
    /// How often.
    pub attempts: usize,
}

const fn at(level: Level, attempts: usize, name: &'static str, how: &'static str) -> Field {
    Field { level, name, how, attempts }
}

use Level::{Http, Registry, Tenant};

/// The fields.
pub const FIELDS: &[Field] = &[
    at(Tenant, 200_000, "ShowDocument.id", "not found, as an unknown one"),
    at(Tenant, 80_000, "RemoveDocument.id", "not found; nothing is recorded or removed"),
    at(Tenant, 60_000, "ListDocuments.after", "the own documents behind it, wherever its digest stands"),
    at(Tenant, 170_000, "ReadLineage.query_id", "not found, as an unknown one"),
    at(Tenant, 20_000, "ReadReceipt.query_id", "not found, as an unknown one"),
    at(Tenant, 2_000, "ReadWitness.journal", "not found, as an unknown one"),
    at(Tenant, 2_000, "ShowRecords.from", "the own records from there on, none behind the own end"),
    at(Tenant, 80_000, "GiveFeedback.query_id", "not found; nothing is recorded"),
    at(Tenant, 60_000, "DecideApproval.id", "not found, as an unknown one; nothing is recorded"),
    at(Tenant, 20_000, "ImportLineage.file_sha256", "not found, as an unknown one; nothing is recorded or taken back"),
    at(Tenant, 40_000, "ExportLineage.from", "the own lines from there on, none behind the own end"),
    at(Tenant, 15_000, "Search.query", "nothing is found by another's ids, titles and words"),
    at(Tenant, 15_000, "Search.domain", "nothing is in it"),
    at(Tenant, 15_000, "Search.usecase", "nothing is in it"),
    at(Tenant, 15_000, "Wishes.conversation", "the own hits, as in any conversation"),
    at(Tenant, 600, "Question.text", "cites the own documents alone"),
    at(Tenant, 600, "Question.domain", "an abstention, as in an unknown domain"),
    at(Tenant, 600, "Question.usecase", "an abstention, as in an unknown use case"),
    at(Tenant, 2_000, "Wishes.idempotency_key", "a call of its own, under one's own or the other's API key id"),
    at(Tenant, 50_000, "Context.targetingKey", "the own flags, as the own files alone say"),
    at(Tenant, 50_000, "flag key", "no such flag"),
    at(Tenant, 500, "NewDocument.id", "taken in as on a node without neighbours, the same positions"),
    at(Tenant, 500, "NewDocument.source", "the same"),
    at(Tenant, 500, "NewDocument.domain", "the same"),
    at(Tenant, 500, "NewDocument.usecase", "the same"),
    at(Registry, 60_000, "Claim.tenant, by key", "not found, as an unknown name or uuid, for every right and role"),
    at(Registry, 30_000, "Claim.tenant, by token", "the same with a verified token"),
    at(Registry, 20_000, "Claim.tenant, remembered", "the same for somebody the lobby has let in before"),
    at(Registry, 40_000, "Claim.credential: public id", "unauthenticated with the own secret, as an unknown key"),
    at(Registry, 4_000, "token: tenant", "unauthenticated: the issuer does not speak for it"),
    at(Registry, 4_000, "token: iss, kid", "unauthenticated: signed by the own issuer's key"),
    at(Registry, 2_000, "token: sub", "one's own tenant and role; the other's users.yaml says nothing"),
    at(Registry, 40_000, "keyring::revoke.key_id", "not found; nothing to be recorded"),
    at(Registry, 40_000, "keyring::rotate.key_id", "not found; nothing to be recorded"),
    at(Registry, 2_000, "GovernRequest::Revoke", "not found; the other's keys stay"),
    at(Registry, 2_000, "GovernRequest::Rotate", "not found; the other's keys stay"),
    at(Registry, 2_000, "GovernRequest::ReadRelease", "not found, and named are the own versions alone"),
    at(Registry, 300, "NewKey.user_id", "a key of one's own tenant"),
    at(Http, 4_000, "/admin/v1/tenants/{id}", "as an absent tenant, on every route below it"),
    at(Http, 2_000, "/admin/v1/policies/{id}", "as an absent tenant, on every route below it"),
    at(Http, 1_000, "/admin/v1/approvals/{id}", "as an absent tenant, shown and decided on"),
    at(Http, 1_500, "/admin/v1/approvals/{id}/{approval}", "as an unknown request"),
    at(Http, 1_500, "/admin/v1/tenants/{id}/keys/{key_id}", "as an unknown key"),
    at(Http, 1_500, "/admin/v1/policies/{id}/releases/{version}", "as an unknown version"),
    at(Http, 300, "/admin/v1/tenants/{id}/feedback/{document}", "as a document that has lost no trust"),
    at(Http, 2_000, "/v1/documents/{id}", "as an unknown document, read and removed"),
    at(Http, 1_000, "/v1/erasures/{id}", "as an unknown request, shown and certified"),
    at(Http, 200, "/admin/v1/certificates/{id}", "forbidden, as an unknown tenant"),
    at(Http, 100, "/v1/models/{model}", "as an unknown model"),
    at(Http, 200, "/ofrep/v1/evaluate/flags/{key}", "as an unknown flag"),
    at(Http, 1_000, "?after", "a page of the own documents, as behind an unknown id"),
    at(Http, 1_500, "?query_id", "as an unknown answer"),
    at(Http, 200, "?journal", "as an unknown journal"),
    at(Http, 1_500, "x-bailiwick-tenant", "as an absent tenant, on every route that heeds it"),
    at(Http, 1_500, "authorization", "as an unknown key"),
    at(Http, 200, "Idempotency-Key", "a call of its own"),
    at(Http, 200, "X-Bailiwick-Conversation", "as any conversation"),
    at(Http, 200, "If-None-Match", "the whole answer, as beside any other tag"),
    at(Http, 1_500, "FeedbackBody.query_id", "as an unknown answer"),
    at(Http, 400, "ImportedBody.file_sha256", "as an unknown import, taken back and kept"),
    at(Http, 60, "ErasureBody.subject", "a request of one's own, about nothing; the other's documents stay"),
    at(Http, 60, "ErasureBody.document", "the same"),
    at(Http, 200, "AskBody.domain", "an abstention, as in an unknown domain"),
    at(Http, 200, "AskBody.usecase", "an abstention, as in an unknown use case"),
    at(Http, 200, "AskBody.question", "an abstention: nothing of the other is found by its words"),
    at(Http, 200, "ask: conversation_id, user", "as any conversation, as any end user"),
    at(Http, 200, "SearchBody.domain", "nothing, as in an unknown domain"),
    at(Http, 200, "SearchBody.usecase", "nothing, as in an unknown use case"),
    at(Http, 200, "SearchBody.query", "nothing is found by the other's words"),
    at(Http, 200, "EvaluationBody.context", "the own flags, as for an unknown user"),
    at(Http, 100, "chat: model, user", "as an unknown model or user"),
    at(Http, 60, "NewKey.user_id", "a key of one's own tenant, which opens no other"),
    at(Http, 100, "document: id, source, domain, usecase", "the own document; the other's stays as it was"),
    at(Http, 100, "form: file name, id, source, domain, usecase", "the own document, as under names nobody has"),
    at(Http, 200, "session: sec-websocket-protocol", "unauthenticated, as an unknown key"),
    at(Http, 100, "session: id, idempotency_key, domain, usecase", "an answer from the own documents alone"),
];

/// Hits shown of each field.
const HITS_SHOWN: usize = 3;

/// Attempts of the table, of one level or of all.
pub const fn attempts(level: Option<Level>) -> usize {
    let (mut sum, mut row) = (0, 0);
    while row < FIELDS.len() {
        let counts = match level {
            None => true,
            Some(level) => FIELDS[row].level as u8 == level as u8,
        };
        if counts {
            sum += FIELDS[row].attempts;
        }
        row += 1;
    }
    sum
}

const _: () = assert!(attempts(None) >= 1_000_000, "the bar is a million attempts");

/// The rows of a level.
pub fn of_level(level: Level) -> impl Iterator<Item = &'static Field> {
    FIELDS.iter().filter(move |field| field.level == level)
}

/// Says what was tried, row by row.
pub fn report(level: Level, tried: &[(&'static str, usize)], hits: &[String]) {
    for (name, attempts) in tried {
        println!("{attempts:>9}  {name}");
    }
    let sum: usize = tried.iter().map(|(_, attempts)| attempts).sum();
    println!("{sum} attempts over {} fields at level {level:?}, {} hits", tried.len(), hits.len());
    println!("{} attempts over {} fields are in the table of all levels", attempts(None), FIELDS.len());
}

/// Fails where something was hit, or a row was not tried as often as the table says.
pub fn demand_none(level: Level, tried: &[(&'static str, usize)], hits: &[String]) {
    report(level, tried, hits);
    let mut shown = Vec::new();
    for (name, _) in tried {
        shown.extend(hits.iter().filter(|hit| hit.starts_with(name)).take(HITS_SHOWN).cloned());
    }
    assert!(hits.is_empty(), "{} hits, the first ones of each field:\n{}", hits.len(), shown.join("\n"));
    let due: Vec<_> = of_level(level).map(|field| (field.name, field.attempts)).collect();
    assert_eq!(tried, due, "what was tried is not what the table says");
}

/// Numbers that follow from a seed (SplitMix64).
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// Those of one attempt at one field.
    pub fn of(field: &str, attempt: usize) -> Self {
        let seed = field
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        Self(seed ^ (attempt as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.roll() % end as u64).unwrap_or(0)
    }

    pub fn one_of<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        let at = self.below(of.len());
        &of[at]
    }
}

/// An id of the other tenant, and one of the same form that nobody has.
#[derive(Clone, Debug)]
pub struct Pair {
    pub theirs: String,
    pub nobodys: String,
}

impl Pair {
    /// With a partner in which letters and digits are moved on by a few; it has to be nobody's.
    pub fn of(theirs: impl Into<String>) -> Self {
        let theirs = theirs.into();
        let moved = |letter: char| match letter {
            'a'..='z' => char::from(b'a' + (letter as u8 - b'a' + 11) % 26),
            'A'..='Z' => char::from(b'A' + (letter as u8 - b'A' + 11) % 26),
            '0'..='9' => char::from(b'0' + (letter as u8 - b'0' + 3) % 10),
            letter => letter,
        };
        let nobodys = theirs.chars().map(moved).collect();
        Self { theirs, nobodys }
    }

    /// As [`Pair::of`], for a uuid: the partner is one, too.
    pub fn of_uuid(theirs: impl Into<String>) -> Self {
        let theirs = theirs.into();
        let moved = |(at, letter): (usize, char)| match letter.to_digit(16) {
            // version and variant stay what they are
            Some(digit) if at > 19 => char::from_digit((digit + 5) % 16, 16).unwrap_or(letter),
            _ => letter,
        };
        let nobodys = theirs.chars().enumerate().map(moved).collect();
        Self { theirs, nobodys }
    }

    /// Both, written the same way.
    pub fn spelled(&self, dice: &mut Dice, names: &Names) -> Self {
        let mut again = dice.clone();
        Self { nobodys: spelled(&self.nobodys, &mut again, names), theirs: spelled(&self.theirs, dice, names) }
    }
}

/// What ids are put behind and before.
#[derive(Clone, Copy, Debug)]
pub struct Names<'a> {
    /// The other tenant's name.
    pub theirs: &'a str,
    /// The other tenant's uuid.
    pub their_uuid: &'a str,
    /// The asker's name.
    pub own: &'a str,
}

fn look_alike(letter: char) -> char {
    match letter {
        'a' => 'а',
        'c' => 'с',
        'e' => 'е',
        'i' => 'і',
        'o' => 'о',
        'p' => 'р',
        '-' => '‐',
        '0'..='9' => char::from_u32(u32::from(letter) + 0xfee0).unwrap_or(letter),
        other => other,
    }
}

fn percent(id: &str, all: bool) -> String {
    id.chars()
        .map(
            |letter| {
                if all || !letter.is_ascii_alphanumeric() {
                    format!("%{:02X}", u32::from(letter))
                } else {
                    letter.into()
                }
            },
        )
        .collect()
}

/// An id, right or nearly right.
pub fn spelled(id: &str, dice: &mut Dice, names: &Names) -> String {
    let letters: Vec<char> = id.chars().collect();
    let place = dice.below(letters.len().max(1));
    let cut = |to: usize| letters.iter().take(to).collect::<String>();
    let Names { theirs, their_uuid, own } = names;
    let inserted = |piece: &str| format!("{}{piece}{}", cut(place), letters.iter().skip(place).collect::<String>());
    match dice.below(40) {
        0..=7 => id.to_owned(),
        8 => id.to_uppercase(),
        9 => letters.iter().enumerate().map(|(at, c)| if at == place { c.to_ascii_uppercase() } else { *c }).collect(),
        10 => cut(place),
        11 => letters.iter().skip(place).collect(),
        12 => format!("{id}{id}"),
        13 => format!("{id}\0"),
        14 => format!("\0{id}"),
        15 => inserted("\0"),
        16 => percent(id, false),
        17 => percent(id, true),
        18 => percent(&percent(id, true), false),
        19 => letters.iter().map(|letter| look_alike(*letter)).collect(),
        20 => inserted("\u{200d}"),
        21 => format!("../{theirs}/{id}"),
        22 => format!("x/../{id}"),
        23 => format!("..%2f{their_uuid}%2f{id}"),
        24 => format!("{theirs}/{id}"),
        25 => format!("{theirs}:{id}"),
        26 => format!("{their_uuid}/{id}"),
        27 => format!("{own}/{id}"),
        28 => format!("{own}/../{theirs}/{id}"),
        29 => format!(" {id}"),
        30 => format!("{id} "),
        31 => format!("{id}\r\n"),
        32 => format!("{id}*"),
        33 => format!("{id}%' OR '1'='1"),
        34 => format!("^{id}$|.*"),
        35 => format!("{id}#0"),
        36 => id.replace('-', ""),
        37 => format!("{{{id}}}"),
        38 => format!("urn:uuid:{id}"),
        _ => letters.iter().rev().collect(),
    }
}

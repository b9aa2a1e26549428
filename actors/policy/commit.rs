//! Which policy may come into force after which: signed by those the tenant trusts, by as many of them as its governance
//! asks for, and newer than any that ever was in force (specification 2.1, stage "validate"; 4 "no prod policy changes
//! without PR + signature").
//!
//! A policy is the three files of `policies/`. Each carries a version of its own and a detached signature beside it,
//! `<file>.sig`; several signatures stand one below the other. Who may sign stands in `allowed_signers`. The first list a
//! tenant comes with is trusted as it is, and stands in the journal; a later one is signed by those of the list before, and
//! says for whom it is and which one it is, so that neither another tenant's nor an earlier one counts:
//! `# bailiwick: tenant=<name> serial=<number>`.
use crate::compile::{EVALUATION, GOVERNANCE, RETRIEVAL};
use crate::digest::sha256_hex;
use crate::parse::{FileError, FileTexts, parse};
use crate::places::Places;
use crate::signature::{Revoked, Signed, Signers, verify};
use semver::Version;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Who may sign, relative to the tenant's folder.
pub const SIGNERS: &str = "allowed_signers";
/// The files that are signed.
pub const SIGNED: [&str; 3] = [RETRIEVAL, EVALUATION, GOVERNANCE];
/// Signatures of one file.
const SIGNATURES_MAX: usize = 8;
/// Bytes of a list of signers: it stands in the journal.
const SIGNERS_BYTES_MAX: usize = 16 << 10;
/// Bytes of a version.
const VERSION_BYTES_MAX: usize = 64;
/// Begins the line that says for whom a list of signers is, and which one.
const SIGNERS_HEAD: &str = "# bailiwick: ";
const END_OF_ARMOUR: &str = "-----END SSH SIGNATURE-----";

/// The signature's file of a file.
#[must_use]
pub fn signature_of(file: &str) -> String {
    format!("{file}.sig")
}

/// True for the files a policy's standing is decided by.
#[must_use]
pub fn is_about_signatures(file: &str) -> bool {
    let signed = |name: &str| name == SIGNERS || SIGNED.contains(&name);
    signed(file) || file.strip_suffix(".sig").is_some_and(signed)
}

/// What came into force last, and what follows from it for the next.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Committed {
    /// Every signed file.
    pub files: BTreeMap<String, CommittedFile>,
    /// The list of signers, as text.
    pub signers: String,
    /// Which list it is: a later one has a higher number.
    pub signers_serial: u64,
    /// How many people sign the next change.
    pub approvals: u32,
}

/// A signed file as it came into force.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CommittedFile {
    /// Its `policy_semver`: the highest this file ever had.
    pub version: String,
    /// SHA-256 of its text, in hexadecimal.
    pub digest: String,
}

/// What a folder's files are to the policy in force.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Standing {
    /// The same.
    Unchanged,
    /// Another one that may follow it.
    Follows {
        /// What is in force once it is committed.
        committed: Committed,
        /// Who signed what changed.
        signed_by: BTreeSet<String>,
    },
}

/// What wants to come into force.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The tenant's name.
    pub tenant: &'a str,
    /// Its files, with their signatures and the list of signers.
    pub texts: &'a FileTexts,
    /// What their own governance asks for.
    pub approvals: u32,
    /// Keys that sign nothing on this node.
    pub revoked: &'a Revoked,
}

/// Decides whether the policy of a folder may come into force. The files have been compiled before.
///
/// # Errors
/// Everything that keeps it from coming into force, with file, line and column.
pub fn standing(asked: &Asked<'_>, before: Option<&Committed>, now_unix_s: i64) -> Result<Standing, Vec<FileError>> {
    let Asked { tenant, texts, approvals, revoked } = *asked;
    let mut examination = Examination {
        texts,
        signers: trusted(texts, before)?.without(revoked),
        needed: before.map_or(approvals, |before| before.approvals),
        now_unix_s,
        errors: Vec::new(),
        signed_by: BTreeSet::new(),
    };
    let mut files = BTreeMap::new();
    let mut changed = before.is_none();
    for file in SIGNED {
        let former = before.and_then(|before| before.files.get(file));
        let found = examination.file(file, former);
        changed |= former != Some(&found);
        files.insert(file.to_owned(), found);
    }
    let signers = texts.get(SIGNERS).cloned().unwrap_or_default();
    let signers_serial = examination.signers(tenant, &signers, before);
    changed |= before.is_some_and(|before| before.signers != signers);
    let Examination { errors, signed_by, .. } = examination;
    if !errors.is_empty() {
        return Err(errors);
    }
    if !changed {
        return Ok(Standing::Unchanged);
    }
    Ok(Standing::Follows { committed: Committed { files, signers, signers_serial, approvals }, signed_by })
}

/// The list whose members may sign: that in force, or the tenant's first one.
fn trusted(texts: &FileTexts, before: Option<&Committed>) -> Result<Signers, Vec<FileError>> {
    let text = before.map_or_else(|| texts.get(SIGNERS), |before| Some(&before.signers));
    match text {
        Some(text) => Signers::parse(SIGNERS, text),
        None => Ok(Signers::default()),
    }
}

struct Examination<'a> {
    texts: &'a FileTexts,
    signers: Signers,
    needed: u32,
    now_unix_s: i64,
    errors: Vec<FileError>,
    signed_by: BTreeSet<String>,
}

#[derive(Deserialize)]
struct Head {
    policy_semver: String,
}

impl Examination<'_> {
    /// A file as it would be committed; what keeps it from that is noted.
    fn file(&mut self, file: &'static str, former: Option<&CommittedFile>) -> CommittedFile {
        let text = self.texts.get(file).map_or("", String::as_str);
        let digest = sha256_hex(text.as_bytes());
        if let Some(former) = former.filter(|former| former.digest == digest) {
            return former.clone();
        }
        let version = parse::<Head>(file, text).map(|head| head.policy_semver).unwrap_or_default();
        if version.len() > VERSION_BYTES_MAX {
            let problem =
                format!("a version of {} bytes is longer than {VERSION_BYTES_MAX}: shorten it", version.len());
            self.errors.push(Places::of(text).error(file, "policy_semver", &problem));
        }
        let found = CommittedFile { version, digest };
        if let Some(former) = former
            && !is_newer(&found.version, &former.version)
        {
            let problem = format!(
                "{} is not newer than {}, which was in force: a changed file has a version above every earlier one, raise it",
                found.version, former.version
            );
            self.errors.push(Places::of(text).error(file, "policy_semver", &problem));
        }
        self.signed(file, text);
        found
    }

    /// The number of the list of signers; what keeps a changed one from being trusted is noted.
    fn signers(&mut self, tenant: &str, signers: &str, before: Option<&Committed>) -> u64 {
        if let Some(before) = before.filter(|before| before.signers == signers) {
            return before.signers_serial;
        }
        let mut refuse = |problem: String| self.errors.push(FileError::whole(SIGNERS, problem));
        if signers.len() > SIGNERS_BYTES_MAX {
            refuse(format!("{} bytes are more than {SIGNERS_BYTES_MAX}: shorten the list", signers.len()));
        }
        let head = head_of(signers);
        if let Some((named, _)) = head.filter(|(named, _)| *named != tenant) {
            refuse(format!("this list of signers is for {named:?}, not for {tenant:?}: write one for this tenant"));
        }
        let Some(before) = before else { return head.map_or(0, |(_, serial)| serial) };
        let next = before.signers_serial.saturating_add(1);
        match head {
            Some((_, serial)) if serial >= next => {}
            _ => refuse(format!(
                "a changed list of signers says for whom it is and that it is a later one: write the line `{SIGNERS_HEAD}tenant={tenant} serial={next}`"
            )),
        }
        if let Err(errors) = Signers::parse(SIGNERS, signers) {
            self.errors.extend(errors);
        }
        self.signed(SIGNERS, signers);
        head.map_or(0, |(_, serial)| serial)
    }

    /// Notes who signed a file; notes an error where a signature is not valid, or too few people signed.
    fn signed(&mut self, file: &str, text: &str) {
        let signature_file = signature_of(file);
        let armoured = self.texts.get(&signature_file).map_or("", String::as_str);
        let (mut principals, mut fingerprints) = (BTreeSet::new(), BTreeSet::new());
        let blocks: Vec<_> = armoured.split_inclusive(END_OF_ARMOUR).filter(|block| !block.trim().is_empty()).collect();
        if blocks.len() > SIGNATURES_MAX {
            let problem = format!("{} signatures are too many: keep at most {SIGNATURES_MAX}", blocks.len());
            return self.errors.push(FileError::whole(&signature_file, problem));
        }
        for block in blocks {
            let block = format!("{}\n", block.trim());
            match verify(&self.signers, &signature_file, text.as_bytes(), &block, self.now_unix_s) {
                Ok(Signed { principal, fingerprint }) => {
                    principals.insert(principal);
                    fingerprints.insert(fingerprint);
                }
                Err(refusal) => self.errors.push(FileError::whole(&signature_file, refusal.to_string())),
            }
        }
        let people = u32::try_from(principals.len().min(fingerprints.len())).unwrap_or(u32::MAX);
        if people < self.needed.max(1) {
            let problem = format!(
                "{file} is signed by {people} of the {} people who have to: sign it with `bailiwick policy sign`, or `ssh-keygen -Y sign -n bailiwick-policy`",
                self.needed.max(1)
            );
            self.errors.push(FileError::whole(&signature_file, problem));
        }
        self.signed_by.extend(principals);
    }
}

/// The tenant and number a list of signers says it has.
fn head_of(signers: &str) -> Option<(&str, u64)> {
    let head = signers.lines().find_map(|line| line.strip_prefix(SIGNERS_HEAD))?;
    let mut words = head.split_whitespace();
    let tenant = words.next()?.strip_prefix("tenant=")?;
    let serial = words.next()?.strip_prefix("serial=")?.parse().ok()?;
    words.next().is_none().then_some((tenant, serial))
}

/// By the precedence of semantic versioning; what is no version is newer than nothing.
#[must_use]
pub fn is_newer(version: &str, former: &str) -> bool {
    match (Version::parse(version), Version::parse(former)) {
        (Ok(version), Ok(former)) => version.cmp_precedence(&former).is_gt(),
        _ => false,
    }
}

#[cfg(test)]
#[path = "commit_tests.rs"]
mod tests;

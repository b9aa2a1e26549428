//! One line of `allowed_signers`: principals, options, key type, key (ssh-keygen(1) ALLOWED SIGNERS).
use super::NAMESPACE;
use super::pattern_list::PatternList;
use super::public_key::{self, ECDSA_P256, ED25519, VerifierKey};
use super::refusal::SignatureRefusal;
use crate::parse::advice;
use crate::patterns::is_invisible;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

const NAMESPACES: &str = "namespaces";
const VALID_AFTER: &str = "valid-after";
const VALID_BEFORE: &str = "valid-before";
const CERT_AUTHORITY: &str = "cert-authority";

/// Who may sign with which key, for what, and when.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Signer {
    pub(super) principals: PatternList,
    pub(super) key: VerifierKey,
    /// The key's bytes as ssh writes them: what keys are compared by.
    pub(super) blob: Vec<u8>,
    options: Options,
}

#[derive(Clone, Default, PartialEq, Eq, Debug)]
struct Options {
    namespaces: Option<PatternList>,
    valid_after_unix_s: Option<i64>,
    valid_before_unix_s: Option<i64>,
}

/// What is wrong with a line, and at which byte of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Fault {
    pub(super) at: usize,
    pub(super) problem: String,
}

fn fault<T>(at: usize, problem: impl Into<String>) -> Result<T, Fault> {
    Err(Fault { at, problem: problem.into() })
}

impl Signer {
    /// Reads a line; nothing where it holds only blanks or a comment.
    ///
    /// # Errors
    /// The first thing that keeps it from naming a signer.
    pub(super) fn read(line: &str) -> Result<Option<Self>, Fault> {
        let Some(mut cursor) = Cursor::of(line)? else { return Ok(None) };
        let principals = principals(&mut cursor)?;
        let options = if cursor.is_over() || public_key::is_key_type(cursor.peek()) {
            Options::default()
        } else {
            options(&mut cursor)?
        };
        let (kind_at, kind) = cursor.word();
        if kind.is_empty() {
            return fault(kind_at, "the key is missing: add the line of the signer's .pub file");
        }
        if let Some(problem) = public_key::type_problem(kind) {
            return fault(kind_at, problem);
        }
        let (key_at, base64) = cursor.word();
        let at_key = |problem| Fault { at: key_at, problem };
        let blob = public_key::blob(kind, base64).map_err(at_key)?;
        let key = public_key::read(&blob).map_err(at_key)?;
        Ok(Some(Self { principals, key, blob, options }))
    }

    /// Who the line names first, `!` patterns aside: it may be a pattern itself.
    pub(super) fn principal(&self) -> String {
        self.principals.first().to_owned()
    }

    /// Whether the line lets its key sign a policy at this time. Both ends count, as with ssh.
    ///
    /// # Errors
    /// Why it does not.
    pub(super) fn permits(&self, file: &str, now_unix_s: i64) -> Result<(), SignatureRefusal> {
        let (file, principal) = (file.to_owned(), self.principal());
        if self.options.namespaces.as_ref().is_some_and(|namespaces| !namespaces.admits(NAMESPACE)) {
            return Err(SignatureRefusal::NotForNamespace { file, principal });
        }
        match (self.options.valid_after_unix_s, self.options.valid_before_unix_s) {
            (Some(from_unix_s), _) if now_unix_s < from_unix_s => {
                Err(SignatureRefusal::NotYetValid { file, principal, from_unix_s })
            }
            (_, Some(until_unix_s)) if now_unix_s > until_unix_s => {
                Err(SignatureRefusal::Expired { file, principal, until_unix_s })
            }
            _ => Ok(()),
        }
    }
}

/// Reads a line of `revoked_signers`: the bytes of a key of any type, since a list may be shared with ssh itself.
///
/// # Errors
/// The first thing that keeps it from naming a key.
pub(super) fn revoked_key(line: &str) -> Result<Option<Vec<u8>>, Fault> {
    let Some(mut cursor) = Cursor::of(line)? else { return Ok(None) };
    let (kind_at, kind) = cursor.word();
    let (key_at, base64) = cursor.word();
    if !public_key::is_key_type(kind) {
        return fault(
            kind_at,
            format!("{kind:?} is no key type: write the key as in its .pub file, without principals or options"),
        );
    }
    let is_supported = match public_key::type_problem(kind) {
        Some(problem) if kind.contains("-cert-v0") => return fault(kind_at, problem),
        problem => problem.is_none(),
    };
    let at_key = |problem| Fault { at: key_at, problem };
    let blob = public_key::blob(kind, base64).map_err(at_key)?;
    if is_supported {
        public_key::read(&blob).map_err(at_key)?;
    }
    Ok(Some(blob))
}

fn principals(cursor: &mut Cursor<'_>) -> Result<PatternList, Fault> {
    let (at, list) = if cursor.rest.starts_with('"') { cursor.quoted()? } else { cursor.word() };
    if let Some(quote) = list.find('"') {
        return fault(
            at + quote,
            "quotes go around all principals of a line: write one at their begin, one at their end",
        );
    }
    if public_key::is_key_type(list) && cursor.peek().starts_with("AAAA") {
        return fault(at, format!("the line begins with the key: write who signs with it before {list}"));
    }
    PatternList::parse(list).map_err(|(offset, problem)| Fault { at: at + offset, problem })
}

fn options(cursor: &mut Cursor<'_>) -> Result<Options, Fault> {
    let mut read = Options::default();
    loop {
        let (at, name) = cursor.name();
        let once = |is_repeated: bool| match is_repeated {
            true => fault(at, format!("option {name:?} stands here twice: keep one")),
            false => Ok(()),
        };
        match name.to_ascii_lowercase().as_str() {
            NAMESPACES => {
                once(read.namespaces.is_some())?;
                let (at, list) = cursor.value(name)?;
                let parsed = PatternList::parse(list);
                read.namespaces = Some(parsed.map_err(|(offset, problem)| Fault { at: at + offset, problem })?);
            }
            VALID_AFTER => {
                once(read.valid_after_unix_s.is_some())?;
                read.valid_after_unix_s = Some(time(cursor.value(name)?)?);
            }
            VALID_BEFORE => {
                once(read.valid_before_unix_s.is_some())?;
                read.valid_before_unix_s = Some(time(cursor.value(name)?)?);
            }
            CERT_AUTHORITY => {
                return fault(at, "certificates are not supported: write a line with each signer's own key instead");
            }
            "" => return fault(at, "an option is missing here: write one, or remove the comma"),
            _ => {
                let known = [NAMESPACES, VALID_AFTER, VALID_BEFORE, ED25519, ECDSA_P256];
                return fault(at, format!("unknown option or key type {name:?}: {}", advice(name, &known)));
            }
        }
        if let (Some(after), Some(before)) = (read.valid_after_unix_s, read.valid_before_unix_s)
            && before <= after
        {
            return fault(at, "the key would never be valid: let valid-before be later than valid-after");
        }
        if let Some(rest) = cursor.rest.strip_prefix(',') {
            cursor.rest = rest;
        } else if cursor.is_over() || cursor.rest.starts_with(is_blank) {
            cursor.skip_blanks();
            return Ok(read);
        } else {
            return fault(cursor.at(), "options are separated by a comma without blanks: write one here");
        }
    }
}

/// A time of ssh-keygen(1): YYYYMMDD, YYYYMMDDHHMM or YYYYMMDDHHMMSS, with or without Z. Unlike ssh, which moves the
/// 31st of February into March, a day that does not exist is refused.
fn time((at, text): (usize, &str)) -> Result<i64, Fault> {
    unix_s(text).map_or_else(
        || {
            fault(
                at,
                format!(
                    "{text:?} is no time after 1970: write YYYYMMDD, YYYYMMDDHHMM or YYYYMMDDHHMMSS, and Z for UTC"
                ),
            )
        },
        Ok,
    )
}

fn unix_s(text: &str) -> Option<i64> {
    let digits = text.strip_suffix(['Z', 'z']).unwrap_or(text);
    if ![8, 12, 14].contains(&digits.len()) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let two = |at: usize| digits.get(at..at + 2).map_or(Ok(0), str::parse::<i8>);
    let year = digits.get(..4)?.parse().ok()?;
    let time = DateTime::new(year, two(4).ok()?, two(6).ok()?, two(8).ok()?, two(10).ok()?, two(12).ok()?, 0).ok()?;
    let unix_s = time.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second();
    // ssh takes the first second of 1970 for no time at all
    (unix_s > 0).then_some(unix_s)
}

fn is_blank(c: char) -> bool {
    [' ', '\t'].contains(&c)
}

/// What of a line is not read yet.
struct Cursor<'a> {
    line: &'a str,
    rest: &'a str,
}

impl<'a> Cursor<'a> {
    /// The first word of a line; nothing where it holds only blanks or a comment.
    fn of(line: &'a str) -> Result<Option<Self>, Fault> {
        let rest = line.trim_start_matches(is_blank);
        if rest.is_empty() || rest.starts_with('#') {
            return Ok(None);
        }
        let is_hidden = |c: char| (c.is_control() && c != '\t') || is_invisible(c);
        match line.char_indices().find(|(_, c)| is_hidden(*c)) {
            Some((at, c)) => fault(at, format!("U+{:04X} stands here and cannot be seen: remove it", u32::from(c))),
            None => Ok(Some(Self { line, rest })),
        }
    }

    fn at(&self) -> usize {
        self.line.len() - self.rest.len()
    }

    fn is_over(&self) -> bool {
        self.rest.is_empty()
    }

    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start_matches(is_blank);
    }

    fn peek(&self) -> &'a str {
        self.rest.split(is_blank).next().unwrap_or_default()
    }

    /// The next word and its place; the blanks behind it are skipped.
    fn word(&mut self) -> (usize, &'a str) {
        let (at, word) = (self.at(), self.peek());
        self.rest = self.rest.strip_prefix(word).unwrap_or_default();
        self.skip_blanks();
        (at, word)
    }

    /// A principals field in quotes and its place; the blanks behind it are skipped.
    fn quoted(&mut self) -> Result<(usize, &'a str), Fault> {
        let (at, text) = self.between_quotes("a quote")?;
        if !self.rest.starts_with(is_blank) && !self.is_over() {
            return fault(self.at(), "the principals end with the quote: write a blank here");
        }
        self.skip_blanks();
        Ok((at, text))
    }

    /// The name of an option.
    fn name(&mut self) -> (usize, &'a str) {
        let at = self.at();
        let rest = self.rest.trim_start_matches(|c: char| !is_blank(c) && !['=', ',', '"'].contains(&c));
        let name = self.rest.strip_suffix(rest).unwrap_or_default();
        self.rest = rest;
        (at, name)
    }

    /// The value of an option. ssh-keygen(1) shows times without quotes, but ssh-keygen refuses them.
    fn value(&mut self, name: &str) -> Result<(usize, &'a str), Fault> {
        let advice = || format!("ssh-keygen wants a value in double quotes: write {name}=\"...\"");
        let Some(rest) = self.rest.strip_prefix('=') else { return fault(self.at(), advice()) };
        self.rest = rest;
        if !rest.starts_with('"') {
            return fault(self.at(), advice());
        }
        self.between_quotes(name)
    }

    fn between_quotes(&mut self, of: &str) -> Result<(usize, &'a str), Fault> {
        let at = self.at();
        let inside = self.rest.strip_prefix('"').unwrap_or(self.rest);
        let Some((text, rest)) = inside.split_once('"') else {
            return fault(at, format!("{of} begins here and does not end: close it with \""));
        };
        if let Some(escape) = text.find('\\') {
            return fault(at + 1 + escape, "a backslash means nothing here: remove it");
        }
        self.rest = rest;
        Ok((at + 1, text))
    }
}

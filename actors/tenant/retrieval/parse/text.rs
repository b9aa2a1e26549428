//! Plain text: UTF-8 or nothing.
use super::{ParseError, Parsed};

/// Reads plain text. It carries no title.
pub(super) fn parse(bytes: &[u8]) -> Result<Parsed, ParseError> {
    Parsed::checked(None, decode(bytes)?, Vec::new())
}

/// Bytes as text: a byte order mark is dropped, every line end becomes `\n`, NUL is refused.
pub(super) fn decode(bytes: &[u8]) -> Result<String, ParseError> {
    if bytes.starts_with(b"\xFF\xFE") || bytes.starts_with(b"\xFE\xFF") {
        return Err(ParseError::NotUtf8 { at: 0 });
    }
    let text = std::str::from_utf8(bytes).map_err(|error| ParseError::NotUtf8 { at: error.valid_up_to() as u64 })?;
    tidy(text.to_owned())
}

/// Text with every line end `\n`, without a byte order mark; NUL is refused.
pub(super) fn tidy(text: String) -> Result<String, ParseError> {
    if let Some(at) = text.find('\0') {
        return Err(ParseError::Nul { at: at as u64 });
    }
    let text = text.strip_prefix('\u{FEFF}').map(str::to_owned).unwrap_or(text);
    if !text.contains('\r') {
        return Ok(text);
    }
    Ok(text.replace("\r\n", "\n").replace('\r', "\n"))
}

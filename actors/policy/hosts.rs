//! Host names as the guard compares them: parsed by the URL standard, never searched as text.
use url::{Host, Url};

/// Where a document without a source of its own counts as coming from.
pub const UPLOAD_HOST: &str = "upload.local";

/// A host in its one canonical spelling: lower case, punycode, no trailing dot, addresses in their standard form.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SourceHost {
    name: String,
    is_address: bool,
}

impl SourceHost {
    /// The canonical spelling.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.name
    }

    fn parse(text: &str) -> Result<Self, String> {
        let host = Host::parse(text).map_err(|error| format!("{text:?} is no host name ({error})"))?;
        let name = host.to_string();
        let is_address = matches!(host, Host::Ipv4(_) | Host::Ipv6(_));
        let name = if is_address { name } else { name.strip_suffix('.').unwrap_or(&name).to_owned() };
        if !is_address && name.split('.').any(str::is_empty) {
            return Err(format!("{text:?} is no host name (an empty part between dots)"));
        }
        Ok(Self { name, is_address })
    }
}

/// Finds the host of a document's source. Sources that two readers could read differently (user names, backslashes,
/// blanks, escapes before the path) have none, so that they are never admitted.
///
/// # Errors
/// Why the source has no host.
pub fn source_host(source: &str) -> Result<SourceHost, String> {
    if source.chars().any(|c| c.is_whitespace() || c.is_control() || c == '\\') {
        return Err("the source contains blanks, control characters or backslashes".into());
    }
    if source == UPLOAD_HOST || source.strip_prefix(UPLOAD_HOST).is_some_and(|rest| rest.starts_with('/')) {
        return SourceHost::parse(UPLOAD_HOST);
    }
    let (scheme, rest) = source.split_once("://").ok_or("the source is no URL: write https:// before the host")?;
    if !["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
        return Err("the source is neither http nor https".into());
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or("");
    if authority.is_empty() || authority.contains(['@', '%']) {
        return Err("the source names a user, hides its host behind escapes, or has none".into());
    }
    let url = Url::parse(source).map_err(|error| format!("the source is no URL ({error})"))?;
    SourceHost::parse(url.host_str().unwrap_or(""))
}

/// One line of an allowlist: a host, or `*.` and a host for every host below it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HostPattern {
    host: SourceHost,
    below: bool,
}

impl HostPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// Why the text is no pattern.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (below, host) = text.strip_prefix("*.").map_or((false, text), |host| (true, host));
        let is_plain_address = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).is_some();
        let bad =
            |c: char| c.is_whitespace() || c.is_control() || "/\\@%*?#".contains(c) || (c == ':' && !is_plain_address);
        if host.is_empty() || host.contains(bad) {
            return Err(format!(
                "{text:?} is no host pattern: write a host such as docs.example.org, or *.example.org for every host below"
            ));
        }
        let host = SourceHost::parse(host)?;
        if below && host.is_address {
            return Err(format!("{text:?} is no host pattern: an address has no hosts below it"));
        }
        Ok(Self { host, below })
    }

    /// True where the pattern means this host.
    #[must_use]
    pub fn matches(&self, host: &SourceHost) -> bool {
        if !self.below {
            return self.host == *host;
        }
        !host.is_address
            && host
                .name
                .strip_suffix(&self.host.name)
                .and_then(|front| front.strip_suffix('.'))
                .is_some_and(|front| !front.is_empty())
    }

    /// Larger is nearer to one single host; the host itself beats every pattern above it.
    #[must_use]
    pub fn nearness(&self) -> (usize, bool) {
        (self.host.name.len(), !self.below)
    }

    /// The canonical spelling.
    #[must_use]
    pub fn canonical(&self) -> String {
        if self.below { format!("*.{}", self.host.name) } else { self.host.name.clone() }
    }
}

#[cfg(test)]
#[path = "hosts_tests.rs"]
mod tests;

use super::*;

fn matches(pattern: &str, source: &str) -> bool {
    source_host(source).is_ok_and(|host| HostPattern::parse(pattern).unwrap().matches(&host))
}

#[test]
fn spellings_of_one_host_are_one_host() {
    for source in [
        "https://trusted.org",
        "https://trusted.org/",
        "http://trusted.org/a/b?c=d#e",
        "HTTPS://TRUSTED.ORG/x",
        "https://Trusted.Org.:8443/x",
        "https://trusted.org:443?x=/@evil.com",
        "https://trusted.org#@evil.com",
    ] {
        assert!(matches("trusted.org", source), "{source}");
        assert!(matches("TRUSTED.org.", source), "{source}");
    }
    assert!(matches("bücher.example", "https://xn--bcher-kva.example/"));
    assert!(matches("xn--bcher-kva.example", "https://BÜCHER.example/"));
    assert!(matches("127.0.0.1", "http://2130706433/"), "one address, two spellings");
    assert!(matches("[::1]", "http://[0:0::1]:80/"));
}

#[test]
fn look_alikes_are_other_hosts_or_none() {
    for source in [
        "https://evil.com/?x=trusted.org",
        "https://evil.com/trusted.org",
        "https://evil.com#trusted.org",
        "https://trusted.org.evil.com/",
        "https://trusted.org@evil.com/",
        "https://user:trusted.org@evil.com/",
        "https://user@trusted.org/",
        "https://trusted.org\\@evil.com/",
        "https://evil.com\\trusted.org/",
        "https://trusted.org%2f@evil.com/",
        "https://trusted%2Eorg/",
        "https://nottrusted.org/",
        "https://trusted.orgs/",
        "https://trusted.org../",
        "https://.trusted.org/",
        "https://trüsted.org/",
        "https://trus\tted.org/",
        "https://trusted.org /",
        " https://trusted.org/",
        "https:///trusted.org/",
        "https:trusted.org/",
        "//trusted.org/",
        "trusted.org",
        "trusted.org/page",
        "ftp://trusted.org/",
        "javascript://trusted.org/%0aalert(1)",
        "file://trusted.org/etc",
        "blob:https://trusted.org/x",
        "https://",
        "https://:80/",
        "https://trusted.org:99999/",
        "",
        "trusted.org\u{0}",
    ] {
        assert!(!matches("trusted.org", source), "{source:?}");
    }
    assert!(!matches("trusted.org", "https://\u{430}trusted.org/"), "a Cyrillic letter is another letter");
}

#[test]
fn a_wildcard_means_every_host_below_and_nothing_else() {
    for source in ["https://a.example.org/", "https://a.b.EXAMPLE.org.:1/", "http://xn--bcher-kva.example.org"] {
        assert!(matches("*.example.org", source), "{source}");
    }
    for source in [
        "https://example.org/",
        "https://badexample.org/",
        "https://.example.org/",
        "https://a..example.org/",
        "https://a.example.org.evil.com/",
        "https://example.org.a/",
    ] {
        assert!(!matches("*.example.org", source), "{source}");
    }
}

#[test]
fn uploads_have_a_host_of_their_own() {
    assert!(matches("upload.local", "upload.local"));
    assert!(matches("upload.local", "upload.local/guide.md"));
    assert!(!matches("upload.local", "upload.local.evil.com/guide.md"));
    assert!(!matches("upload.local", "upload.localx"));
    assert!(!matches("trusted.org", "upload.local/https://trusted.org/"));
}

#[test]
fn patterns_that_say_too_much_or_nothing_are_refused() {
    for text in [
        "",
        "*",
        "*.",
        "*.*",
        "*.*.org",
        "a*.org",
        "https://example.org",
        "example.org/x",
        "example.org:443",
        "user@example.org",
        "exa mple.org",
        "a..org",
        ".org",
        "*.127.0.0.1",
        "*.1",
        "example%2eorg",
        "*.",
    ] {
        assert!(HostPattern::parse(text).is_err(), "{text:?}");
    }
}

#[test]
fn the_canonical_spelling_reads_back() {
    for text in ["Example.ORG.", "*.Bücher.example", "192.168.0.1", "[2001:DB8::1]"] {
        let pattern = HostPattern::parse(text).unwrap();
        assert_eq!(HostPattern::parse(&pattern.canonical()), Ok(pattern), "{text}");
    }
}

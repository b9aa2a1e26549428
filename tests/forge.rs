//! What must not compile: forged handles, permits, keys and answers. Each file of `tests/forge` names the compiler's
//! error it must end with; one control file must compile, so that a broken harness cannot pass.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]
use std::path::{Path, PathBuf};
use std::process::Command;

/// Folder of the libraries this very test was linked with.
fn libraries() -> PathBuf {
    std::env::current_exe().unwrap().parent().unwrap().to_path_buf()
}

/// Builds of a package of the house that lie there: a used folder has those of earlier builds as well.
fn builds(name: &str) -> impl Iterator<Item = PathBuf> {
    let prefix = format!("lib{name}-");
    let found = std::fs::read_dir(libraries()).unwrap().filter_map(Result::ok).map(|entry| entry.path());
    found.filter(move |path| {
        let file = path.file_name().unwrap().to_string_lossy();
        file.starts_with(&prefix) && file.ends_with(".rlib")
    })
}

/// The newest build of the topmost package, and those of the others it was linked with: it has their names in it.
fn externs() -> Vec<(&'static str, PathBuf)> {
    let modified = |path: &PathBuf| path.metadata().unwrap().modified().unwrap();
    let control = builds("bailiwick_control").max_by_key(modified).unwrap();
    let linked = std::fs::read(&control).unwrap();
    let mut externs = vec![("bailiwick_control", control)];
    for name in ["bailiwick_kernel", "bailiwick_policy", "bailiwick_tenant"] {
        let is_linked = |path: &PathBuf| {
            let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
            let suffix = stem.rsplit('-').next().unwrap().as_bytes().to_vec();
            linked.windows(suffix.len()).any(|window| window == suffix)
        };
        externs.push((name, builds(name).find(is_linked).unwrap()));
    }
    externs
}

fn compile(case: &Path, out: &Path, externs: &[(&str, PathBuf)]) -> (bool, String) {
    let mut command = Command::new(std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into()));
    command.args([
        "--edition",
        "2024",
        "--crate-type",
        "lib",
        "--emit",
        "metadata",
        "--cap-lints",
        "allow",
        "--error-format",
        "short",
    ]);
    command
        .arg("-L")
        .arg(format!("dependency={}", libraries().display()))
        .arg("-o")
        .arg(out.join("case.rmeta"))
        .arg(case);
    for (package, library) in externs {
        command.arg("--extern").arg(format!("{package}={}", library.display()));
    }
    let output = command.output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn forgeries_do_not_compile() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/forge");
    let (out, externs) = (tempfile::tempdir().unwrap(), externs());
    let (mut refused, mut compiled, mut findings) = (0, 0, Vec::new());
    let mut cases: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    for case in cases {
        let text = std::fs::read_to_string(&case).unwrap();
        let expected = text.lines().next().unwrap().strip_prefix("//@ ").unwrap().to_owned();
        let (success, errors) = compile(&case, out.path(), &externs);
        if expected == "compiles" {
            compiled += 1;
            if !success {
                findings.push(format!("{}: the control does not compile:\n{errors}", case.display()));
            }
            continue;
        }
        refused += 1;
        if success {
            findings.push(format!("{} compiles: a forgery is possible", case.display()));
        } else if !errors.contains(&expected) {
            findings.push(format!("{}: refused, but not with {expected}:\n{errors}", case.display()));
        }
    }
    assert!(findings.is_empty(), "{}", findings.join("\n"));
    assert!(refused >= 9 && compiled == 1, "{refused} forgeries and {compiled} controls were tried");
}

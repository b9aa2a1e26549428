//! `eval/golden.jsonl`: questions a tenant knows the answers to, a JSON object a line.
use crate::parse::FileError;
use serde::Deserialize;

/// Relative to the tenant's folder.
pub const GOLDEN: &str = "eval/golden.jsonl";
/// Questions of one tenant.
pub const GOLDEN_MAX: usize = 1_000;

/// A question whose answer is known.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Golden {
    /// The question, in words.
    pub question: String,
    /// The answer, in words.
    #[serde(default)]
    pub answer: Option<String>,
    /// Ids of the documents that say so.
    #[serde(default)]
    pub relevant: Vec<String>,
    /// The documents do not say.
    #[serde(default)]
    pub unanswerable: bool,
}

/// Reads the questions.
///
/// # Errors
/// The first line that is none, or that they are too many.
pub fn parse(text: &str) -> Result<Vec<Golden>, FileError> {
    let lines = (1_u64..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    let golden = lines.map(|(number, line)| {
        serde_json::from_str(line).map_err(|error| FileError {
            file: GOLDEN.to_owned(),
            line: number,
            column: u64::try_from(error.column()).unwrap_or_default(),
            problem: format!("{error}: write a JSON object with question, answer, relevant and unanswerable"),
        })
    });
    let golden: Vec<_> = golden.take(GOLDEN_MAX + 1).collect::<Result<_, _>>()?;
    if golden.len() > GOLDEN_MAX {
        return Err(FileError::whole(
            GOLDEN,
            format!("there are more than {GOLDEN_MAX} questions: keep the best ones"),
        ));
    }
    Ok(golden)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn the_samples_are_golden() {
        for tenant in ["default", "acme-corp", "beta-inc"] {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tenants").join(tenant).join(GOLDEN);
            let golden = parse(&std::fs::read_to_string(path).unwrap()).unwrap();
            assert!(golden.iter().any(|golden| !golden.relevant.is_empty()), "{tenant}");
        }
    }

    #[test]
    fn what_is_none_is_named_by_its_line() {
        let error = parse("{\"question\": \"a\"}\n\n{\"question\": \"b\", \"relevent\": []}\n").unwrap_err();
        assert_eq!((error.file.as_str(), error.line), (GOLDEN, 3));
        assert!(error.problem.contains("relevent"), "{error}");
        let many = "{\"question\": \"a\"}\n".repeat(GOLDEN_MAX + 1);
        assert!(parse(&many).unwrap_err().problem.contains("more than 1000"));
        assert_eq!(parse("").unwrap(), []);
    }
}

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
    /// The documents that say so: their ids, or the names of the files they were uploaded as.
    #[serde(default)]
    pub relevant: Vec<String>,
    /// The documents do not say.
    #[serde(default)]
    pub unanswerable: bool,
}

/// Where a document comes from that was uploaded as a file, before the file's name.
const UPLOADED: &str = "upload.local/";

impl Golden {
    /// What a document of this id and source is called among those that say the answer; its id where it is none of them.
    #[must_use]
    pub fn name_of<'a>(&self, id: &'a str, source: &'a str) -> &'a str {
        let is_meant = |name: &str| self.relevant.iter().any(|relevant| relevant == name);
        let file = source.strip_prefix(UPLOADED).filter(|file| is_meant(file));
        if is_meant(id) { id } else { file.unwrap_or(id) }
    }
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
    fn a_document_is_meant_by_its_id_or_by_the_file_it_was_uploaded_as() {
        let golden = parse("{\"question\": \"a\", \"relevant\": [\"d-1\", \"b.md\"]}").unwrap().remove(0);
        assert_eq!(golden.name_of("d-1", "upload.local/b.md"), "d-1");
        assert_eq!(golden.name_of("d-2", "upload.local/b.md"), "b.md");
        assert_eq!(golden.name_of("d-2", "https://example.com/b.md"), "d-2");
        assert_eq!(golden.name_of("d-2", "upload.local/c.md"), "d-2");
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

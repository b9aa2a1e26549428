//! Secrets that `config.toml` names by the environment variable they stand in.
use secrecy::SecretString;

/// What a variable holds; nothing where it is not set.
pub(super) type Variable<'a> = &'a dyn Fn(&str) -> Option<String>;

/// What a variable holds, without space around it.
pub(super) fn value(variable: Variable<'_>, name: &str) -> Result<String, String> {
    let found = variable(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    found.ok_or_else(|| format!("the environment variable {name} is not set; set it"))
}

/// Which variables hold the credentials for AWS, or for whoever speaks like it, as an entry of the file names them. The entries
/// have the three keys themselves: of a struct that is flattened into them an unknown key would have no line, and no nearest one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct AwsVariables<'a> {
    /// The name of the access key; `AWS_ACCESS_KEY_ID` where absent.
    pub(super) access_key_id: Option<&'a str>,
    /// The access key; `AWS_SECRET_ACCESS_KEY` where absent.
    pub(super) secret_access_key: Option<&'a str>,
    /// The token of temporary credentials; none where absent.
    pub(super) session_token: Option<&'a str>,
}

/// What they hold.
pub(super) struct AwsCredentials {
    pub(super) access_key_id: String,
    pub(super) secret_access_key: SecretString,
    pub(super) session_token: Option<SecretString>,
}

impl AwsVariables<'_> {
    /// True where the entry names one of them.
    pub(super) fn are_named(&self) -> bool {
        self.access_key_id.or(self.secret_access_key).or(self.session_token).is_some()
    }

    pub(super) fn read(&self, variable: Variable<'_>) -> Result<AwsCredentials, String> {
        let secret_access_key = value(variable, self.secret_access_key.unwrap_or("AWS_SECRET_ACCESS_KEY"))?;
        let session_token = self.session_token.map(|name| value(variable, name)).transpose()?;
        Ok(AwsCredentials {
            access_key_id: value(variable, self.access_key_id.unwrap_or("AWS_ACCESS_KEY_ID"))?,
            secret_access_key: secret_access_key.into(),
            session_token: session_token.map(SecretString::from),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    const UNNAMED: AwsVariables<'_> =
        AwsVariables { access_key_id: None, secret_access_key: None, session_token: None };

    #[test]
    fn credentials_are_read_where_they_are_named_and_where_they_usually_stand() {
        let told = |name: &str| Some(format!(" {name}'s\n"));
        let usual = UNNAMED.read(&told).ok().unwrap();
        assert_eq!(usual.access_key_id, "AWS_ACCESS_KEY_ID's");
        assert_eq!(usual.secret_access_key.expose_secret(), "AWS_SECRET_ACCESS_KEY's");
        assert!(usual.session_token.is_none() && !UNNAMED.are_named(), "a token nobody names is not looked for");
        let named = AwsVariables { access_key_id: Some("A"), secret_access_key: Some("B"), session_token: Some("C") };
        let read = named.read(&told).ok().unwrap();
        assert_eq!((read.access_key_id.as_str(), read.secret_access_key.expose_secret()), ("A's", "B's"));
        assert_eq!(read.session_token.unwrap().expose_secret(), "C's");
        assert!(AwsVariables { session_token: Some("C"), ..UNNAMED }.are_named());
        for missing in ["A", "B", "C"] {
            let all_but = |name: &str| (name != missing).then(|| "x".to_owned());
            let problem = named.read(&all_but).err().unwrap();
            assert_eq!(problem, format!("the environment variable {missing} is not set; set it"));
        }
        assert!(value(&|_| Some(" \n".to_owned()), "EMPTY").unwrap_err().contains("EMPTY"));
    }
}

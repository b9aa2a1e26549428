//! Where the root key comes from.
use bailiwick_kernel::cipher::data_key::SecretKey;
use secrecy::SecretString;
use zeroize::Zeroizing;

/// Characters a passphrase has at least: each guess costs whoever has the file a fifth of a second of a processor.
const PASSPHRASE_CHARS_MIN: usize = 12;

/// Where the root key comes from.
#[derive(Debug, Default)]
pub enum RootSource {
    /// `DATA/master.key`, for its owner's eyes; made at the first start.
    #[default]
    File,
    /// `DATA/master.key`, sealed under a passphrase. A file that is not sealed yet becomes so.
    SealedFile(SecretString),
    /// From outside: it stands in no file of the data folder.
    Given(GivenKey),
    /// From outside, and so is the one before it, which has wrapped what is not wrapped anew yet.
    Changed {
        /// The present one.
        given: GivenKey,
        /// The one before.
        former: GivenKey,
    },
}

/// A root key from outside.
pub struct GivenKey(SecretKey);

impl std::fmt::Debug for GivenKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("GivenKey")
    }
}

impl GivenKey {
    /// The key.
    pub(super) fn key(&self) -> SecretKey {
        self.0.clone()
    }
}

impl RootSource {
    /// A file sealed under this passphrase.
    ///
    /// # Errors
    /// What is wrong with it as one.
    pub fn sealed_under(passphrase: &str) -> Result<Self, String> {
        if passphrase.chars().count() < PASSPHRASE_CHARS_MIN {
            return Err(format!(
                "the passphrase has fewer than {PASSPHRASE_CHARS_MIN} characters; choose a longer one"
            ));
        }
        Ok(Self::SealedFile(SecretString::from(passphrase)))
    }

    /// A key from outside, as 64 hexadecimal digits.
    ///
    /// # Errors
    /// What is wrong with it as one.
    pub fn given(digits: &str) -> Result<Self, String> {
        read(digits).map(Self::Given)
    }

    /// A key from outside, and the one it takes the place of; each as in [`RootSource::given`].
    ///
    /// # Errors
    /// What is wrong with one of them.
    pub fn changed(digits: &str, former: &str) -> Result<Self, String> {
        Ok(Self::Changed { given: read(digits)?, former: read(former)? })
    }
}

fn read(digits: &str) -> Result<GivenKey, String> {
    let mut key = Zeroizing::new([0_u8; 32]);
    hex::decode_to_slice(digits, key.as_mut_slice())
        .map_err(|_digits| "it is no 64 hexadecimal digits; draw one with `openssl rand -hex 32`".to_owned())?;
    if key.iter().all(|byte| *byte == 0) {
        return Err("it is zero; draw one with `openssl rand -hex 32`".to_owned());
    }
    Ok(GivenKey(key))
}

//! Secrets that configuration may carry, and the ones it refuses because everybody knows them.
//! Their `Debug` is redacted and `config show` prints `(secret)`.

use std::fmt;
use std::io::{self, Write};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use figment::value::Value;
use tokensmith_oauth2::Secret;
use zeroize::{Zeroize, Zeroizing};

use super::value::{Setting, must_be, text};

const SHOWN: &str = "(secret)";

/// Texts that stand in documentation, demo data and attackers' word lists.
const KNOWN: [&str; 16] = [
    "admin_secret",
    "change_me",
    "change-me",
    "changeme",
    "correct horse battery staple",
    "default",
    "example",
    "jwt_secret",
    "password",
    "placeholder",
    "random",
    "secret",
    "supersecret",
    "test_secret",
    "your-secret-key",
    "your-service-secret-change-in-production",
];

/// Whether a secret is one of those that everybody tries first, or a repetition of one.
pub(crate) fn is_well_known(secret: &str) -> bool {
    let secret = secret.trim().to_ascii_lowercase();
    let repeats = |known: &&str| {
        let rest = secret.replace(*known, "");
        rest.chars()
            .all(|c| c.is_ascii_digit() || "-_.! ".contains(c))
    };
    secret.is_empty() || KNOWN.iter().any(repeats) || distinct(secret.as_bytes()) < 6
}

fn distinct(bytes: &[u8]) -> usize {
    let mut seen = [false; 256];
    bytes
        .iter()
        .filter(|byte| !std::mem::replace(&mut seen[usize::from(**byte)], true))
        .count()
}

/// A text whose content is not shown, such as a URL with a password in it.
impl Setting for Secret {
    const FORM: &'static str = "a text that is not empty";
    const SECRET: bool = true;

    fn read(value: &Value) -> Result<Self, String> {
        let text = text(value).filter(|text| !text.trim().is_empty());
        text.map(Self::new)
            .ok_or_else(|| must_be(<Self as Setting>::FORM))
    }

    fn show(&self) -> String {
        SHOWN.to_owned()
    }
}

/// A signing secret shared with older services: at least 32 bytes and not well known.
#[derive(Debug, Clone)]
pub struct SharedSecret(Secret);

impl SharedSecret {
    const LENGTH: usize = 32;

    /// The secret itself, for the one place that signs with it.
    pub fn secret(&self) -> &Secret {
        &self.0
    }
}

impl Setting for SharedSecret {
    const FORM: &'static str = "a random text of at least 32 bytes";
    const SECRET: bool = true;

    fn read(value: &Value) -> Result<Self, String> {
        let text = text(value).ok_or_else(|| must_be(Self::FORM))?;
        if is_well_known(&text) {
            return Err(format!(
                "is a well-known or repetitive secret; it {}",
                must_be(Self::FORM)
            ));
        }
        if text.len() < Self::LENGTH {
            return Err(format!("is too short; it {}", must_be(Self::FORM)));
        }
        Ok(Self(Secret::new(text)))
    }

    fn show(&self) -> String {
        SHOWN.to_owned()
    }
}

/// The key under which all other keys are sealed: 32 random bytes.
#[derive(Clone)]
pub struct MasterKey(Zeroizing<[u8; 32]>);

impl MasterKey {
    /// Takes 32 random bytes over.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes, for the one place that makes a sealing key of them.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// Reads base64 in either alphabet, padded or not.
    ///
    /// # Errors
    /// A sentence fragment that says what is wrong and does not repeat the key.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if is_well_known(text) {
            return Err(format!(
                "is a well-known or repetitive secret; it {}",
                must_be(Self::FORM)
            ));
        }
        let engines = [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE, &URL_SAFE_NO_PAD];
        let bytes = engines
            .iter()
            .find_map(|engine| engine.decode(text).ok())
            .map(Zeroizing::new);
        let bytes = bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes.as_slice()).ok());
        let mut bytes = bytes.ok_or_else(|| must_be(Self::FORM))?;
        if distinct(&bytes) < 16 {
            bytes.zeroize();
            return Err(
                "is not random: too few different bytes; make one with `openssl rand -base64 32`"
                    .into(),
            );
        }
        Ok(Self::new(bytes))
    }

    /// The key kept in a file of mode 0600, written from `fresh` when there is none.
    ///
    /// # Errors
    /// Those of the file system, a file that others can read, and a file that holds no key.
    pub fn kept_in(path: &Path, fresh: impl FnOnce() -> [u8; 32]) -> io::Result<Self> {
        match std::fs::read_to_string(path).map(Zeroizing::new) {
            Ok(text) => {
                refuse_readable_by_others(path)?;
                let wrong = |reason| {
                    io::Error::new(
                        io::ErrorKind::InvalidData,
                        format!("the master key in {} {reason}", path.display()),
                    )
                };
                Self::parse(&text).map_err(wrong)
            }
            Err(missing) if missing.kind() == io::ErrorKind::NotFound => {
                let key = Self::new(fresh());
                key.write_new(path)?;
                Ok(key)
            }
            Err(other) => Err(other),
        }
    }

    /// `create_new`: two processes starting at once cannot both believe in their own key.
    fn write_new(&self, path: &Path) -> io::Result<()> {
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path)?;
        let text = Zeroizing::new(STANDARD.encode(self.expose()));
        writeln!(file, "{}", *text)?;
        file.sync_all()
    }
}

#[cfg(unix)]
fn refuse_readable_by_others(path: &Path) -> io::Result<()> {
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(path)?.permissions());
    if mode & 0o077 == 0 {
        return Ok(());
    }
    let sentence = format!(
        "{} can be read by other users (mode {:o}); run `chmod 600` on it",
        path.display(),
        mode & 0o777
    );
    Err(io::Error::new(io::ErrorKind::PermissionDenied, sentence))
}

#[cfg(not(unix))]
fn refuse_readable_by_others(_: &Path) -> io::Result<()> {
    Ok(())
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(..)")
    }
}

impl Setting for MasterKey {
    const FORM: &'static str =
        "32 random bytes in base64, such as `openssl rand -base64 32` prints";
    const SECRET: bool = true;

    fn read(value: &Value) -> Result<Self, String> {
        Self::parse(&Zeroizing::new(
            text(value).ok_or_else(|| must_be(Self::FORM))?,
        ))
    }

    fn show(&self) -> String {
        SHOWN.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(seed: u8) -> [u8; 32] {
        std::array::from_fn(|i| (i as u8).wrapping_mul(37).wrapping_add(seed))
    }

    #[test]
    fn row_030_well_known_secrets_are_refused() {
        for weak in [
            "secret",
            "random",
            "changeme",
            "Change-Me!",
            "secretsecretsecretsecretsecretsecret",
            "password123",
            "test_secret",
            "your-service-secret-change-in-production",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "12345123451234512345123451234512345",
        ] {
            let refusal = SharedSecret::read(&Value::from(weak)).unwrap_err();
            assert!(refusal.contains("well-known"), "{weak}: {refusal}");
            assert!(MasterKey::parse(weak).is_err(), "{weak}");
            assert!(
                !refusal.contains(weak) || weak == "secret" || weak == "random",
                "{refusal}"
            );
        }
        assert!(
            SharedSecret::read(&Value::from("Zk3!q9vX"))
                .unwrap_err()
                .contains("too short")
        );
        assert!(SharedSecret::read(&Value::from("Zk3!q9vXp0-7RtYw2LmN8sBdF5hJ1cGa")).is_ok());
    }

    #[test]
    fn a_master_key_is_32_random_bytes_in_any_base64() {
        let key = bytes(7);
        for text in [
            STANDARD.encode(key),
            URL_SAFE_NO_PAD.encode(key),
            format!("{}\n", URL_SAFE.encode(key)),
        ] {
            assert_eq!(MasterKey::parse(&text).unwrap().expose(), &key);
        }
        assert!(MasterKey::parse(&STANDARD.encode([7u8; 32])).is_err());
        assert!(MasterKey::parse(&STANDARD.encode(&key[..31])).is_err());
    }

    #[test]
    fn a_kept_key_is_written_once_with_mode_0600_and_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("master.key");
        let first = MasterKey::kept_in(&path, || bytes(1)).unwrap();
        let second = MasterKey::kept_in(&path, || unreachable!("the file exists")).unwrap();
        assert_eq!(first.expose(), second.expose());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(
                std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
                0o600
            );
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
            assert!(
                MasterKey::kept_in(&path, || bytes(1))
                    .unwrap_err()
                    .to_string()
                    .contains("chmod 600")
            );
        }
    }

    #[test]
    fn no_secret_shows_itself() {
        let key = MasterKey::new(bytes(3));
        let shared = SharedSecret::read(&Value::from("Zk3!q9vXp0-7RtYw2LmN8sBdF5hJ1cGa")).unwrap();
        for shown in [
            format!("{key:?}{}", key.show()),
            format!("{shared:?}{}", shared.show()),
        ] {
            assert!(
                !shown.contains("Zk3") && !shown.contains(&STANDARD.encode(bytes(3))[..8]),
                "{shown}"
            );
        }
    }
}

//! Password hashes that other systems made: bcrypt, scrypt, PBKDF2 and salted SHA of LDAP (RFC 2307). They are only
//! ever checked, and replaced by argon2id when their password is next seen. What would take too long or too much
//! memory to check is not accepted.

use std::num::NonZeroU32;

use aws_lc_rs::{constant_time::verify_slices_are_equal, digest, pbkdf2};
use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

/// With or without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
const LONGEST_TEXT: usize = 1024;
/// A check of this takes a second or so.
const MOST_ITERATIONS: u32 = 5_000_000;
const HIGHEST_BCRYPT_COST: u32 = 15;
const MOST_SCRYPT_MEMORY: u64 = 128 << 20;
const MOST_SCRYPT_WORK: u64 = 512 << 20;

/// A hash that another system made.
pub struct ForeignHash(Kind);

enum Kind {
    Bcrypt(String),
    Scrypt {
        params: scrypt::Params,
        salt: Vec<u8>,
        hash: Vec<u8>,
    },
    Pbkdf2 {
        algorithm: pbkdf2::Algorithm,
        iterations: NonZeroU32,
        salt: Vec<u8>,
        hash: Vec<u8>,
    },
    Salted {
        algorithm: &'static digest::Algorithm,
        salt: Vec<u8>,
        hash: Vec<u8>,
    },
}

impl ForeignHash {
    /// Reads a hash in one of the forms of docs/guide/passwords.md; `None` for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > LONGEST_TEXT {
            return None;
        }
        let kind = match text.strip_prefix('{') {
            Some(rest) => salted(rest),
            None if text.starts_with("$2") => bcrypt(text),
            None if text.starts_with("$scrypt$") => scrypt(text),
            None if text.starts_with("pbkdf2_") => django(text),
            None => pbkdf2(text),
        };
        kind.map(Self)
    }

    /// Whether it is the hash of this password.
    pub fn is_of(&self, password: &str) -> bool {
        let password = password.as_bytes();
        match &self.0 {
            Kind::Bcrypt(text) => bcrypt::verify(password, text).unwrap_or(false),
            Kind::Scrypt { params, salt, hash } => {
                let mut computed = vec![0; hash.len()];
                let done = scrypt::scrypt(password, salt, params, &mut computed);
                done.is_ok() && verify_slices_are_equal(&computed, hash).is_ok()
            }
            Kind::Pbkdf2 {
                algorithm,
                iterations,
                salt,
                hash,
            } => pbkdf2::verify(*algorithm, *iterations, salt, password, hash).is_ok(),
            Kind::Salted {
                algorithm,
                salt,
                hash,
            } => {
                let computed = digest::digest(algorithm, &[password, salt].concat());
                verify_slices_are_equal(computed.as_ref(), hash).is_ok()
            }
        }
    }
}

/// `$2b$12$` and 53 characters; also 2a, 2x and 2y.
fn bcrypt(text: &str) -> Option<Kind> {
    let parts: bcrypt::HashParts = text.parse().ok()?;
    let is_bearable = (4..=HIGHEST_BCRYPT_COST).contains(&parts.get_cost());
    is_bearable.then(|| Kind::Bcrypt(text.to_owned()))
}

/// `$scrypt$ln=15,r=8,p=1$SALT$HASH`
fn scrypt(text: &str) -> Option<Kind> {
    let [params, salt, hash] = three(text.strip_prefix("$scrypt$")?)?;
    let value = |name: &str| -> Option<u32> { named(params, name)?.parse().ok() };
    let (log_n, r, p) = (value("ln")?, value("r")?, value("p")?);
    let log_n = u8::try_from(log_n)
        .ok()
        .filter(|log_n| (1..=30).contains(log_n))?;
    let memory = u64::from(r).checked_mul(128 << log_n)?;
    let work = memory.checked_mul(u64::from(p))?;
    if memory > MOST_SCRYPT_MEMORY || work > MOST_SCRYPT_WORK {
        return None;
    }
    Some(Kind::Scrypt {
        params: scrypt::Params::new(log_n, r, p).ok()?,
        salt: bytes(salt)?,
        hash: hash_bytes(hash)?,
    })
}

/// `$pbkdf2-sha256$i=600000,l=32$SALT$HASH`, or with a bare number of iterations and `.` for `+`.
fn pbkdf2(text: &str) -> Option<Kind> {
    let (name, rest) = text.strip_prefix('$')?.split_once('$')?;
    let algorithm = match name {
        "pbkdf2" | "pbkdf2-sha1" => pbkdf2::PBKDF2_HMAC_SHA1,
        "pbkdf2-sha256" => pbkdf2::PBKDF2_HMAC_SHA256,
        "pbkdf2-sha384" => pbkdf2::PBKDF2_HMAC_SHA384,
        "pbkdf2-sha512" => pbkdf2::PBKDF2_HMAC_SHA512,
        _ => return None,
    };
    let [params, salt, hash] = three(rest)?;
    let count = named(params, "i").unwrap_or(params);
    Some(Kind::Pbkdf2 {
        algorithm,
        iterations: iterations(count)?,
        salt: bytes(&salt.replace('.', "+"))?,
        hash: hash_bytes(&hash.replace('.', "+"))?,
    })
}

/// `pbkdf2_sha256$600000$SALT$HASH`, the salt as it stands.
fn django(text: &str) -> Option<Kind> {
    let (name, rest) = text.split_once('$')?;
    let algorithm = match name {
        "pbkdf2_sha1" => pbkdf2::PBKDF2_HMAC_SHA1,
        "pbkdf2_sha256" => pbkdf2::PBKDF2_HMAC_SHA256,
        _ => return None,
    };
    let [count, salt, hash] = three(rest)?;
    Some(Kind::Pbkdf2 {
        algorithm,
        iterations: iterations(count)?,
        salt: salt.as_bytes().to_vec(),
        hash: hash_bytes(hash)?,
    })
}

/// `{SSHA}`, `{SSHA256}` or `{SSHA512}` and BASE64(hash, salt).
fn salted(rest: &str) -> Option<Kind> {
    let (name, encoded) = rest.split_once('}')?;
    let algorithm = match name {
        "SSHA" => &digest::SHA1_FOR_LEGACY_USE_ONLY,
        "SSHA256" => &digest::SHA256,
        "SSHA512" => &digest::SHA512,
        _ => return None,
    };
    let bytes = bytes(encoded)?;
    let (hash, salt) = bytes.split_at_checked(algorithm.output_len())?;
    (!salt.is_empty()).then(|| Kind::Salted {
        algorithm,
        salt: salt.to_vec(),
        hash: hash.to_vec(),
    })
}

fn iterations(text: &str) -> Option<NonZeroU32> {
    let count = text.parse().ok().and_then(NonZeroU32::new);
    count.filter(|count| count.get() <= MOST_ITERATIONS)
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    BASE64.decode(text).ok()
}

/// A hash so short that a guess could hit it is none.
fn hash_bytes(text: &str) -> Option<Vec<u8>> {
    bytes(text).filter(|hash| (16..=128).contains(&hash.len()))
}

/// Exactly three parts between dollar signs.
fn three(text: &str) -> Option<[&str; 3]> {
    let parts: Vec<&str> = text.splitn(4, '$').collect();
    parts.try_into().ok()
}

/// The value of `name` in `a=1,b=2`.
fn named<'a>(params: &'a str, name: &str) -> Option<&'a str> {
    let mut pairs = params.split(',').filter_map(|pair| pair.split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by other programs; the password is `pässword ☕ 1`.
    const HASHES: &str = include_str!("foreign_hashes.txt");
    const PASSWORD: &str = "pässword ☕ 1";

    #[test]
    fn hashes_of_other_programs_are_right_for_their_password_alone() {
        for text in HASHES.lines() {
            let hash = ForeignHash::parse(text).unwrap_or_else(|| panic!("{text}"));
            assert!(hash.is_of(PASSWORD), "{text}");
            for other in ["", "pässword ☕ 2", "PÄSSWORD ☕ 1", text] {
                assert!(!hash.is_of(other), "{text}");
            }
        }
    }

    #[test]
    fn what_would_take_too_long_is_not_accepted() {
        let salt = "c2FsdHNhbHQ";
        let hash = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        for text in [
            "$2b$31$abcdefghijklmnopqrstuuzLFfNZPLMzYYbmKlxYOjlQXaCbVYzfm".to_owned(),
            format!("$scrypt$ln=25,r=8,p=1${salt}${hash}"),
            format!("$scrypt$ln=10,r=4000000000,p=1${salt}${hash}"),
            format!("$scrypt$ln=14,r=8,p=4000000000${salt}${hash}"),
            format!("$pbkdf2-sha256$4000000000${salt}${hash}"),
            format!("$pbkdf2-sha256$0${salt}${hash}"),
        ] {
            assert!(ForeignHash::parse(&text).is_none(), "{text}");
        }
    }

    #[test]
    fn other_texts_are_no_hashes() {
        for text in [
            "",
            "$",
            "$$$$",
            "{SSHA}",
            "{SSHA}AAAA",
            "{MD5}AAAA",
            "{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=",
            "plain",
            "$1$salt$hash",
            "$pbkdf2-sha256$1$c2FsdA$",
            "$pbkdf2-sha256$1$c2FsdA$AAAA",
            "$scrypt$ln=1$c2FsdA$AAAA",
            "$2b$12$short",
            "$pbkdf2-md5$1$c2FsdA$AAAAAAAAAAAAAAAAAAAAAAAA",
        ] {
            assert!(ForeignHash::parse(text).is_none(), "{text}");
        }
        assert!(ForeignHash::parse(&format!("$2b$12${}", "a".repeat(5000))).is_none());
    }
}

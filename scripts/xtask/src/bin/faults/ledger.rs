//! What the clients know: every request with its end, kept by themselves and compared with nothing of the server's until
//! the run is over. A broken promise is a sentence in `broken`.
//!
//! Promises, by the numbers of the list they come from: I1 what a 200 handed out is known after recovery; I2 nothing is
//! accepted twice with two results; I3 a family has one live refresh token; I4 what was revoked stays so; I5 each change
//! has its one audit line; I9 an unknown outcome resolves.

use std::collections::BTreeMap;

/// A refresh token as its client can read it: `tkr_<family>.<generation>.<secret>`.
pub(crate) fn family_and_generation(token: &str) -> Option<(String, u64)> {
    let mut parts = token.strip_prefix("tkr_")?.split('.');
    let (family, generation) = (parts.next()?, parts.next()?);
    Some((family.to_owned(), generation.parse().ok()?))
}

/// One family of refresh tokens.
#[derive(Debug, Default)]
pub(crate) struct Family {
    /// The token of each generation that was handed out.
    pub(crate) tokens: BTreeMap<u64, String>,
    /// The id of each access token that came with it.
    pub(crate) access_token_ids: BTreeMap<u64, Vec<String>>,
    /// Answered 200 to a revocation.
    pub(crate) revoked: bool,
}

impl Family {
    pub(crate) fn newest(&self) -> Option<(u64, &str)> {
        self.tokens
            .last_key_value()
            .map(|(generation, token)| (*generation, token.as_str()))
    }
}

/// The counts of a run.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) rotations: u64,
    /// The same token presented again on purpose, before its successor was used.
    pub(crate) repeats: u64,
    pub(crate) revocations: u64,
    /// Requests without a whole answer.
    pub(crate) unknown: u64,
    /// New connections that were reset: the socket was closed before the server took them in.
    pub(crate) turned_away: u64,
    /// Rotations that were answered after at least one unknown outcome.
    pub(crate) resolved: u64,
    /// 503 with Retry-After.
    pub(crate) unavailable: u64,
}

/// What one client or all of them know.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) families: BTreeMap<String, Family>,
    pub(crate) counts: Counts,
    pub(crate) broken: Vec<String>,
}

impl Ledger {
    /// A refresh token was handed out, for `presented` or at a sign-in.
    pub(crate) fn handed_out(&mut self, presented: Option<&str>, token: &str, access_token: &str) {
        let Some((family, generation)) = family_and_generation(token) else {
            return self.breaks(format!("I7: {token:?} is no refresh token"));
        };
        let expected = presented
            .and_then(family_and_generation)
            .map_or((family.clone(), 1), |(family, generation)| {
                (family, generation + 1)
            });
        if (family.clone(), generation) != expected {
            self.breaks(format!(
                "I3: generation {generation} of {family} was answered, and {expected:?} is next"
            ));
        }
        let known = self.families.entry(family.clone()).or_default();
        let first = known
            .tokens
            .entry(generation)
            .or_insert_with(|| token.to_owned());
        if first != token {
            let sentence =
                format!("I2: generation {generation} of {family} was handed out with two secrets");
            return self.breaks(sentence);
        }
        if let Some(id) = id_of(access_token) {
            let ids = known.access_token_ids.entry(generation).or_default();
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
    }

    pub(crate) fn breaks(&mut self, sentence: String) {
        self.broken.push(sentence);
    }

    /// Takes over what another client knows.
    pub(crate) fn absorb(&mut self, other: Self) {
        self.families.extend(other.families);
        self.broken.extend(other.broken);
        let (all, more) = (&mut self.counts, other.counts);
        all.rotations += more.rotations;
        all.repeats += more.repeats;
        all.revocations += more.revocations;
        all.unknown += more.unknown;
        all.turned_away += more.turned_away;
        all.resolved += more.resolved;
        all.unavailable += more.unavailable;
    }
}

/// The `jti` of an access token (RFC 9068), read and not checked.
fn id_of(access_token: &str) -> Option<String> {
    let payload = decode_base64url(access_token.split('.').nth(1)?)?;
    let claims: serde_json::Value = serde_json::from_slice(&payload).ok()?;
    claims["jti"].as_str().map(str::to_owned)
}

fn decode_base64url(text: &str) -> Option<Vec<u8>> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (mut bytes, mut bits, mut width) = (Vec::new(), 0_u32, 0);
    for letter in text.bytes() {
        let value = ALPHABET.iter().position(|known| *known == letter)?;
        bits = bits << 6 | u32::try_from(value).ok()?;
        width += 6;
        if width >= 8 {
            width -= 8;
            bytes.push(u8::try_from(bits >> width & 0xff).ok()?);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_secret_for_one_generation_and_a_generation_left_out_are_found() {
        let mut ledger = Ledger::default();
        ledger.handed_out(None, "tkr_f.1.a", "");
        ledger.handed_out(Some("tkr_f.1.a"), "tkr_f.2.b", "");
        ledger.handed_out(Some("tkr_f.1.a"), "tkr_f.2.b", "");
        assert!(ledger.broken.is_empty());
        ledger.handed_out(Some("tkr_f.1.a"), "tkr_f.2.c", "");
        ledger.handed_out(Some("tkr_f.2.b"), "tkr_f.4.d", "");
        assert_eq!(ledger.broken.len(), 2, "{:?}", ledger.broken);
        assert_eq!(ledger.families["f"].newest(), Some((4, "tkr_f.4.d")));
    }

    #[test]
    fn the_id_of_an_access_token_is_read() {
        // {"jti":"x1"}
        assert_eq!(id_of("e30.eyJqdGkiOiJ4MSJ9.s").as_deref(), Some("x1"));
    }
}

//! What an authenticator signs and what the browser says of it (WebAuthn level 3 §5.8.1, §6.1). Only registrations and
//! signatures made on this server's own pages for this server's own challenge are taken. Attestation is not asked for
//! and not looked at: which make an authenticator is of decides nothing here.

use aws_lc_rs::{constant_time::verify_slices_are_equal, digest};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;

use super::{
    cbor::{Item, Reader},
    public_key::PublicKey,
};

const USER_PRESENT: u8 = 0x01;
const USER_VERIFIED: u8 = 0x04;
const BACKED_UP: u8 = 0x10;
const ATTESTED: u8 = 0x40;
const EXTENSIONS: u8 = 0x80;
/// WebAuthn level 3 §7.1: longer ones are refused.
const LONGEST_CREDENTIAL_ID: usize = 1023;

/// What a ceremony must be of.
#[derive(Clone, Debug)]
pub(super) struct Expected<'a> {
    pub(super) rp_id: String,
    pub(super) origin: String,
    pub(super) challenge: &'a [u8; 32],
}

/// A new credential.
#[derive(Debug)]
pub(super) struct Registered {
    pub(super) credential_id: Vec<u8>,
    pub(super) public_key: Vec<u8>,
    pub(super) sign_count: u32,
    pub(super) is_backed_up: bool,
}

/// A signature that is right.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signed {
    pub(super) sign_count: u32,
    pub(super) user_verified: bool,
}

/// Why something was not taken. The word is for the audit line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Malformed,
    Ceremony,
    Challenge,
    Origin,
    RelyingParty,
    UserAbsent,
    Key,
    Signature,
}

impl Refusal {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "passkey_malformed",
            Self::Ceremony => "passkey_other_ceremony",
            Self::Challenge => "passkey_other_challenge",
            Self::Origin => "passkey_other_origin",
            Self::RelyingParty => "passkey_other_rp",
            Self::UserAbsent => "passkey_user_absent",
            Self::Key => "passkey_key_unsupported",
            Self::Signature => "passkey_signature_wrong",
        }
    }
}

#[derive(Deserialize)]
struct ClientData {
    r#type: String,
    challenge: String,
    origin: String,
    #[serde(rename = "crossOrigin", default)]
    cross_origin: bool,
    #[serde(rename = "topOrigin")]
    top_origin: Option<String>,
}

impl Expected<'_> {
    /// WebAuthn level 3 §7.1.
    pub(super) fn registration(
        &self,
        client_data: &[u8],
        attestation: &[u8],
    ) -> Result<Registered, Refusal> {
        self.check_client_data(client_data, "webauthn.create")?;
        let bytes = authenticator_data(attestation).ok_or(Refusal::Malformed)?;
        let data = AuthenticatorData::read(bytes).ok_or(Refusal::Malformed)?;
        self.check_data(&data)?;
        let (credential_id, public_key) = data.attested.ok_or(Refusal::Malformed)?;
        PublicKey::read(public_key).ok_or(Refusal::Key)?;
        Ok(Registered {
            credential_id: credential_id.to_vec(),
            public_key: public_key.to_vec(),
            sign_count: data.sign_count,
            is_backed_up: data.flags & BACKED_UP != 0,
        })
    }

    /// WebAuthn level 3 §7.2.
    pub(super) fn assertion(
        &self,
        public_key: &[u8],
        client_data: &[u8],
        authenticator_data: &[u8],
        signature: &[u8],
    ) -> Result<Signed, Refusal> {
        self.check_client_data(client_data, "webauthn.get")?;
        let data = AuthenticatorData::read(authenticator_data).ok_or(Refusal::Malformed)?;
        self.check_data(&data)?;
        let key = PublicKey::read(public_key).ok_or(Refusal::Key)?;
        let hash = digest::digest(&digest::SHA256, client_data);
        let message = [authenticator_data, hash.as_ref()].concat();
        if !key.verifies(&message, signature) {
            return Err(Refusal::Signature);
        }
        Ok(Signed {
            sign_count: data.sign_count,
            user_verified: data.flags & USER_VERIFIED != 0,
        })
    }

    fn check_client_data(&self, bytes: &[u8], ceremony: &str) -> Result<(), Refusal> {
        let data: ClientData =
            tokensmith_jose::strict_json::from_slice(bytes).map_err(|_| Refusal::Malformed)?;
        if data.r#type != ceremony {
            return Err(Refusal::Ceremony);
        }
        let challenge = URL_SAFE_NO_PAD.decode(&data.challenge);
        let challenge = challenge.map_err(|_| Refusal::Challenge)?;
        verify_slices_are_equal(&challenge, self.challenge).map_err(|_| Refusal::Challenge)?;
        if data.origin != self.origin || data.cross_origin || data.top_origin.is_some() {
            return Err(Refusal::Origin);
        }
        Ok(())
    }

    fn check_data(&self, data: &AuthenticatorData<'_>) -> Result<(), Refusal> {
        let rp = digest::digest(&digest::SHA256, self.rp_id.as_bytes());
        if data.rp_id_hash != rp.as_ref() {
            return Err(Refusal::RelyingParty);
        }
        if data.flags & USER_PRESENT == 0 {
            return Err(Refusal::UserAbsent);
        }
        Ok(())
    }
}

/// `authData` of an attestation object (WebAuthn level 3 §6.5).
fn authenticator_data(attestation: &[u8]) -> Option<&[u8]> {
    let mut reader = Reader::new(attestation);
    let mut found = None;
    for _ in 0..reader.map()? {
        let Item::Text(name) = reader.item()? else {
            return None;
        };
        if name == "authData" {
            let Item::Bytes(bytes) = reader.item()? else {
                return None;
            };
            found = Some(bytes);
        } else {
            reader.skip()?;
        }
    }
    found.filter(|_| reader.rest().is_empty())
}

/// WebAuthn level 3 §6.1.
struct AuthenticatorData<'a> {
    rp_id_hash: &'a [u8],
    flags: u8,
    sign_count: u32,
    /// Credential id and COSE key.
    attested: Option<(&'a [u8], &'a [u8])>,
}

impl<'a> AuthenticatorData<'a> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let rp_id_hash = reader.take(32)?;
        let flags = *reader.take(1)?.first()?;
        let sign_count = u32::from_be_bytes(reader.take(4)?.try_into().ok()?);
        let attested = match flags & ATTESTED {
            0 => None,
            _ => Some(Self::attested(&mut reader)?),
        };
        if flags & EXTENSIONS != 0 {
            reader.skip()?;
        }
        reader.rest().is_empty().then_some(Self {
            rp_id_hash,
            flags,
            sign_count,
            attested,
        })
    }

    /// WebAuthn level 3 §6.5.1.
    fn attested(reader: &mut Reader<'a>) -> Option<(&'a [u8], &'a [u8])> {
        reader.take(16)?;
        let length = u16::from_be_bytes(reader.take(2)?.try_into().ok()?);
        let length = usize::from(length);
        let id = reader.take(length)?;
        let is_sane = (1..=LONGEST_CREDENTIAL_ID).contains(&length);
        is_sane.then_some((id, reader.skip()?))
    }
}

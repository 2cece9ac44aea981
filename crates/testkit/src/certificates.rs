//! Certificates made for one test: an authority, what it signs, and what signs itself.

use std::{net::IpAddr, path::Path, time::Duration};

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, SanType,
};
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokensmith_store::Timestamp;

/// A certificate authority of a test.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its private key.
#[derive(Clone)]
pub struct Identity {
    der: Vec<u8>,
    key: String,
}

/// What a certificate says of its owner.
#[derive(Clone, Default)]
pub struct Names {
    common_name: String,
    alternatives: Vec<SanType>,
    validity: Option<(OffsetDateTime, OffsetDateTime)>,
    server_only: bool,
}

impl Names {
    /// A subject with a common name and an organization, `O=Activity,CN=…` in the order of the certificate.
    pub fn of(common_name: &str) -> Self {
        Self {
            common_name: common_name.to_owned(),
            ..Self::default()
        }
    }

    /// With a dNSName.
    #[must_use]
    pub fn dns(mut self, name: &str) -> Self {
        self.alternatives
            .push(SanType::DnsName(name.try_into().expect("ASCII")));
        self
    }

    /// With a uniformResourceIdentifier.
    #[must_use]
    pub fn uri(mut self, uri: &str) -> Self {
        self.alternatives
            .push(SanType::URI(uri.try_into().expect("ASCII")));
        self
    }

    /// With an iPAddress.
    #[must_use]
    pub fn ip(mut self, address: IpAddr) -> Self {
        self.alternatives.push(SanType::IpAddress(address));
        self
    }

    /// With an rfc822Name.
    #[must_use]
    pub fn email(mut self, address: &str) -> Self {
        self.alternatives
            .push(SanType::Rfc822Name(address.try_into().expect("ASCII")));
        self
    }

    /// Valid from one instant to another instead of always.
    #[must_use]
    pub fn valid(mut self, from: Timestamp, to: Timestamp) -> Self {
        let instant = |at: Timestamp| {
            OffsetDateTime::UNIX_EPOCH + Duration::from_millis(at.as_millis().unsigned_abs())
        };
        self.validity = Some((instant(from), instant(to)));
        self
    }

    /// Meant for servers only.
    #[must_use]
    pub fn for_servers(mut self) -> Self {
        self.server_only = true;
        self
    }

    fn params(self) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::OrganizationName, "Activity");
        params
            .distinguished_name
            .push(DnType::CommonName, self.common_name);
        params.subject_alt_names = self.alternatives;
        params.extended_key_usages = match self.server_only {
            true => vec![ExtendedKeyUsagePurpose::ServerAuth],
            false => vec![
                ExtendedKeyUsagePurpose::ServerAuth,
                ExtendedKeyUsagePurpose::ClientAuth,
            ],
        };
        if let Some((from, to)) = self.validity {
            (params.not_before, params.not_after) = (from, to);
        }
        params
    }
}

impl Authority {
    /// A new authority with a key of its own.
    pub fn new(name: &str) -> Self {
        let mut params = Names::of(name).params();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.extended_key_usages.clear();
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("a certificate"))
    }

    /// Its own certificate, in PEM.
    pub fn pem(&self) -> String {
        self.0.as_ref().pem()
    }

    /// Signs a certificate for a new key.
    pub fn certifies(&self, names: Names) -> Identity {
        let key = KeyPair::generate().expect("a key");
        let certificate = names
            .params()
            .signed_by(&key, &self.0)
            .expect("a certificate");
        Identity {
            der: certificate.der().to_vec(),
            key: key.serialize_pem(),
        }
    }
}

impl Identity {
    /// A certificate that signs itself.
    pub fn self_signed(names: Names) -> Self {
        let key = KeyPair::generate().expect("a key");
        let certificate = names.params().self_signed(&key).expect("a certificate");
        Self {
            der: certificate.der().to_vec(),
            key: key.serialize_pem(),
        }
    }

    /// The certificate, in DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Its public key as a JWK (RFC 7518 section 6.2.1).
    pub fn public_jwk(&self) -> Value {
        let key = KeyPair::from_pem(&self.key).expect("a key");
        let (x, y) = key.public_key_raw()[1..].split_at(32);
        let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
        json!({"kty": "EC", "crv": "P-256", "x": x, "y": y})
    }

    /// The certificate, in PEM.
    pub fn certificate_pem(&self) -> String {
        let base64 = STANDARD.encode(&self.der);
        let lines: Vec<&str> = base64
            .as_bytes()
            .chunks(64)
            .filter_map(|line| std::str::from_utf8(line).ok())
            .collect();
        format!(
            "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
            lines.join("\n")
        )
    }

    /// The private key, in PEM.
    pub fn key_pem(&self) -> &str {
        &self.key
    }

    /// Writes both to files.
    pub fn write(&self, certificate: &Path, key: &Path) {
        std::fs::write(certificate, self.certificate_pem()).expect("a file");
        std::fs::write(key, &self.key).expect("a file");
    }

    /// Certificate and key for an HTTP client.
    pub fn for_reqwest(&self) -> reqwest::Identity {
        let pem = format!("{}{}", self.certificate_pem(), self.key);
        reqwest::Identity::from_pem(pem.as_bytes()).expect("an identity")
    }
}

//! Settings of TLS and of client certificates (RFC 8705). Refuses combinations that would quietly do nothing.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::place::Issuer;
use super::section::{Reader, section, words};
use super::{TrustedProxies, value};

section! {
    /// TLS on the server's own sockets.
    pub struct Tls at "tls." {
        /// Certificate chain in PEM, the server's own certificate first. With it every address of `listen` speaks
        /// TLS 1.2 or 1.3 and nothing else. A changed file is taken up without a restart.
        certificate_file: Option<PathBuf>,
        /// Private key of the certificate in PEM.
        private_key_file: Option<PathBuf>,
        /// How often certificate, key and `mtls.client_ca_file` are looked at. A broken new file is logged and the
        /// old one stays.
        reload_interval: Duration = "30s",
        /// Longest time for a TLS handshake; past it the connection is closed.
        handshake_timeout: Duration = "10s",
        /// Whether `listen` asks clients for a certificate: `off` or `optional`. Browsers ask their user when a
        /// server asks them, so a server that people visit too uses `mtls.listen` instead.
        client_certificates: ClientCertificates = "off",
    }
}

section! {
    /// Client certificates (RFC 8705).
    pub struct Mtls at "mtls." {
        /// Further addresses with TLS under the same certificate, on which clients are asked for theirs.
        listen: Vec<SocketAddr>,
        /// URL under which clients with certificates reach this server, if it is not the issuer. The metadata
        /// announce it as `mtls_endpoint_aliases`.
        base_url: Option<Issuer>,
        /// Certificates in PEM of the authorities that certify clients. `tls_client_auth` needs it.
        client_ca_file: Option<PathBuf>,
        /// Header field in which `trusted_proxies` pass on the client's certificate: `client-cert` (RFC 9440, with
        /// `Client-Cert-Chain`) or `x-ssl-client-cert` (PEM, percent-encoded, as nginx writes it). A proxy must
        /// overwrite what a client sends under that name. From anybody else the field counts for nothing.
        certificate_header: CertificateHeader = "none",
    }
}

words! {
    /// Whether TLS asks the client for a certificate.
    pub enum ClientCertificates {
        /// No.
        Off = "off",
        /// Yes, and a client without one is served too.
        Optional = "optional",
    }
    form "\"off\" or \"optional\""
}

words! {
    /// The header field in which proxies pass on the client's certificate.
    pub enum CertificateHeader {
        /// No field is read.
        None = "none",
        /// `Client-Cert` (RFC 9440).
        ClientCert = "client-cert",
        /// `X-SSL-Client-Cert`, percent-encoded PEM.
        XSslClientCert = "x-ssl-client-cert",
    }
    form "\"none\", \"client-cert\" or \"x-ssl-client-cert\""
}

/// Whose word on the client's certificate counts, and where it stands.
#[derive(Debug, Clone)]
pub struct CertificateProxies {
    /// The proxies.
    pub proxies: TrustedProxies,
    /// Where they write it.
    pub header: CertificateHeader,
}

impl super::Config {
    /// Whether client certificates can reach the server at all.
    pub fn takes_client_certificates(&self) -> bool {
        self.tls.client_certificates != ClientCertificates::Off
            || !self.mtls.listen.is_empty()
            || self.mtls.certificate_header != CertificateHeader::None
    }

    /// The proxies whose word on the client's certificate counts.
    pub fn certificate_proxies(&self) -> CertificateProxies {
        CertificateProxies {
            proxies: self.proxies(),
            header: self.mtls.certificate_header,
        }
    }
}

/// Rules that no single value breaks by itself.
pub(super) fn refuse_contradictions(reader: &mut Reader) {
    let text = |key: &str| {
        let given = reader.given.get(key)?;
        value::text(&given.value).filter(|text| !text.is_empty())
    };
    // A list may be an array, which has no text.
    let is_set = |key: &str| match reader.given.get(key) {
        Some(given) => given
            .value
            .as_array()
            .map_or(text(key).is_some(), |list| !list.is_empty()),
        None => false,
    };
    let is_word = |key: &str, word: &str| text(key).is_some_and(|text| text != word);
    let (certificate, key) = (
        is_set("tls.certificate_file"),
        is_set("tls.private_key_file"),
    );
    let mut broken = Vec::new();
    if certificate != key {
        broken.push("`tls.certificate_file` and `tls.private_key_file` belong together: set both or neither.");
    }
    if !certificate && (is_set("mtls.listen") || is_word("tls.client_certificates", "off")) {
        broken.push("`mtls.listen` and `tls.client_certificates` need `tls.certificate_file`: only TLS can ask for a certificate.");
    }
    if is_word("mtls.certificate_header", "none") && !is_set("trusted_proxies") {
        broken.push("`mtls.certificate_header` needs `trusted_proxies`: from anybody else the field counts for nothing.");
    }
    for sentence in broken {
        reader.note(sentence.to_owned());
    }
}

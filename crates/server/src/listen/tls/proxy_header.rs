//! A client's certificate in a header field of a trusted proxy: `Client-Cert` (RFC 9440) or percent-encoded PEM.
//! From anybody else the field counts for nothing. From the proxy, what cannot be read is refused, not skipped.

use std::net::IpAddr;

use base64::{Engine, engine::general_purpose::STANDARD};
use http::HeaderMap;
use http::header::GetAll;
use percent_encoding::percent_decode;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;

use super::ClientCertificate;
use crate::config::{CertificateHeader, CertificateProxies};
use crate::listen::client_ip::is_trusted;

/// The field cannot be read, or stands there twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::listen) struct Unreadable;

/// What the proxy says of its client; the outer `None` when the peer is no such proxy.
pub(in crate::listen) fn from_proxy(
    peer: IpAddr,
    headers: &HeaderMap,
    trusted: &CertificateProxies,
) -> Option<Result<Option<ClientCertificate>, Unreadable>> {
    if trusted.header == CertificateHeader::None
        || !is_trusted(peer.to_canonical(), &trusted.proxies.blocks)
    {
        return None;
    }
    Some(match trusted.header {
        CertificateHeader::None => Ok(None),
        CertificateHeader::ClientCert => rfc_9440(headers),
        CertificateHeader::XSslClientCert => escaped_pem(headers),
    })
}

fn rfc_9440(headers: &HeaderMap) -> Result<Option<ClientCertificate>, Unreadable> {
    let Some(certificate) = the_one(headers.get_all("client-cert"))? else {
        return Ok(None);
    };
    let mut chain = vec![byte_sequence(certificate).ok_or(Unreadable)?];
    for field in headers.get_all("client-cert-chain") {
        let field = field.to_str().map_err(|_| Unreadable)?;
        for item in field.split(',') {
            chain.push(byte_sequence(item).ok_or(Unreadable)?);
        }
    }
    ClientCertificate::from_chain(chain)
        .map(Some)
        .ok_or(Unreadable)
}

/// A byte sequence of RFC 8941 section 3.3.5: base64 between colons.
fn byte_sequence(text: &str) -> Option<CertificateDer<'static>> {
    let base64 = text.trim().strip_prefix(':')?.strip_suffix(':')?;
    STANDARD.decode(base64).ok().map(CertificateDer::from)
}

fn escaped_pem(headers: &HeaderMap) -> Result<Option<ClientCertificate>, Unreadable> {
    let Some(text) = the_one(headers.get_all("x-ssl-client-cert"))? else {
        return Ok(None);
    };
    let pem: Vec<u8> = percent_decode(text.as_bytes()).collect();
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).take(16).collect();
    ClientCertificate::from_chain(chain.map_err(|_| Unreadable)?)
        .map(Some)
        .ok_or(Unreadable)
}

/// The value of a field; two are one too many, since a client may have sent the other. An empty one is none.
fn the_one<'a>(values: GetAll<'a, http::HeaderValue>) -> Result<Option<&'a str>, Unreadable> {
    let mut values = values.into_iter();
    match (values.next(), values.next()) {
        (_, Some(_)) => Err(Unreadable),
        (None, None) => Ok(None),
        (Some(value), None) => {
            let text = value.to_str().map_err(|_| Unreadable)?.trim();
            Ok(Some(text).filter(|text| !text.is_empty()))
        }
    }
}

#[cfg(test)]
mod tests {
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
    use proptest::prelude::*;
    use tokensmith_testkit::{Identity, Names};

    use super::*;
    use crate::config::{ProxyHeader, TrustedProxies};

    fn seen(
        peer: &str,
        header: CertificateHeader,
        fields: &[(&str, &str)],
    ) -> Option<Result<Option<Vec<u8>>, Unreadable>> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            let name = http::HeaderName::from_bytes(name.as_bytes()).unwrap();
            headers.append(name, value.parse().unwrap());
        }
        let proxies = TrustedProxies {
            blocks: vec!["10.0.0.0/8".parse().unwrap()],
            header: ProxyHeader::XForwardedFor,
        };
        let said = from_proxy(
            peer.parse().unwrap(),
            &headers,
            &CertificateProxies { proxies, header },
        )?;
        Some(said.map(|found| found.map(|found| found.end_entity().to_vec())))
    }

    fn byte_sequence_of(identity: &Identity) -> String {
        format!(":{}:", STANDARD.encode(identity.der()))
    }

    fn escaped(identity: &Identity) -> String {
        utf8_percent_encode(&identity.certificate_pem(), NON_ALPHANUMERIC).to_string()
    }

    const RFC: CertificateHeader = CertificateHeader::ClientCert;
    const NGINX: CertificateHeader = CertificateHeader::XSslClientCert;
    const PROXY: &str = "10.0.0.1";

    #[test]
    fn both_fields_are_read_from_a_trusted_proxy() {
        let alice = Identity::self_signed(Names::of("alice"));
        let (rfc, nginx) = (byte_sequence_of(&alice), escaped(&alice));
        let expected = Some(Ok(Some(alice.der().to_vec())));
        assert_eq!(seen(PROXY, RFC, &[("client-cert", &rfc)]), expected);
        assert_eq!(
            seen(
                PROXY,
                RFC,
                &[
                    ("client-cert", &rfc),
                    ("client-cert-chain", &format!("{rfc}, {rfc}"))
                ]
            ),
            expected
        );
        assert_eq!(
            seen(PROXY, NGINX, &[("x-ssl-client-cert", &nginx)]),
            expected
        );
        assert_eq!(
            seen("::ffff:10.0.0.1", NGINX, &[("x-ssl-client-cert", &nginx)]),
            expected
        );
        // nginx writes an empty field for a client without a certificate.
        assert_eq!(
            seen(PROXY, NGINX, &[("x-ssl-client-cert", "")]),
            Some(Ok(None))
        );
    }

    #[test]
    fn anybody_else_cannot_claim_a_certificate() {
        let alice = Identity::self_signed(Names::of("alice"));
        let (rfc, nginx) = (byte_sequence_of(&alice), escaped(&alice));
        for peer in ["203.0.113.9", "::1", "::ffff:203.0.113.9"] {
            assert_eq!(seen(peer, RFC, &[("client-cert", &rfc)]), None);
            assert_eq!(seen(peer, NGINX, &[("x-ssl-client-cert", &nginx)]), None);
        }
        // Only the configured field counts, also from the proxy.
        assert_eq!(
            seen(PROXY, RFC, &[("x-ssl-client-cert", &nginx)]),
            Some(Ok(None))
        );
        assert_eq!(seen(PROXY, NGINX, &[("client-cert", &rfc)]), Some(Ok(None)));
        assert_eq!(
            seen(PROXY, CertificateHeader::None, &[("client-cert", &rfc)]),
            None
        );
    }

    #[test]
    fn a_field_that_stands_twice_or_cannot_be_read_is_refused() {
        let alice = byte_sequence_of(&Identity::self_signed(Names::of("alice")));
        let mallory = byte_sequence_of(&Identity::self_signed(Names::of("mallory")));
        let refused = Some(Err(Unreadable));
        assert_eq!(
            seen(
                PROXY,
                RFC,
                &[("client-cert", &mallory), ("client-cert", &alice)]
            ),
            refused
        );
        let long = format!(":{}:", "A".repeat(32 << 10));
        for value in [alice.trim_matches(':'), ":AAA:", ":====:", "rubbish", &long] {
            assert_eq!(
                seen(PROXY, RFC, &[("client-cert", value)]),
                refused,
                "{value}"
            );
        }
        let many = vec![alice.as_str(); 20].join(",");
        assert_eq!(
            seen(
                PROXY,
                RFC,
                &[("client-cert", &alice), ("client-cert-chain", &many)]
            ),
            refused
        );
        for value in ["rubbish", "-----BEGIN%20CERTIFICATE-----%0AAAA", "%zz"] {
            assert_eq!(
                seen(PROXY, NGINX, &[("x-ssl-client-cert", value)]),
                refused,
                "{value}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_field_makes_it_panic(value in "[ -~]{0,120}") {
            seen(PROXY, RFC, &[("client-cert", &value), ("client-cert-chain", &value)]);
            seen(PROXY, NGINX, &[("x-ssl-client-cert", &value)]);
        }
    }
}

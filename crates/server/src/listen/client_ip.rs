//! The client's address behind proxies: `X-Forwarded-For` or `Forwarded` (RFC 7239), read from the
//! right and only as far as listed proxies wrote it. From anybody else these fields count for nothing.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;
use http::header::FORWARDED;

use crate::config::{Cidr, ProxyHeader, TrustedProxies};

/// The address that rate limits, logs and audit lines speak of.
pub fn client_ip(peer: IpAddr, headers: &HeaderMap, trusted: &TrustedProxies) -> IpAddr {
    let mut client = peer.to_canonical();
    if !is_trusted(client, &trusted.blocks) {
        return client;
    }
    for hop in hops(headers, trusted.header).iter().rev() {
        let Some(address) = hop else { break };
        client = address.to_canonical();
        if !is_trusted(client, &trusted.blocks) {
            break;
        }
    }
    client
}

pub(super) fn is_trusted(address: IpAddr, blocks: &[Cidr]) -> bool {
    blocks.iter().any(|block| block.contains(address))
}

/// The hops as written, first client first; `None` for one that names no address.
fn hops(headers: &HeaderMap, header: ProxyHeader) -> Vec<Option<IpAddr>> {
    let fields = match header {
        ProxyHeader::XForwardedFor => headers.get_all("x-forwarded-for"),
        ProxyHeader::Forwarded => headers.get_all(FORWARDED),
    };
    let hop = match header {
        ProxyHeader::XForwardedFor => address,
        ProxyHeader::Forwarded => forwarded_for,
    };
    let texts = fields
        .iter()
        .map(|value| value.to_str().unwrap_or_default());
    texts
        .flat_map(|text| text.split(','))
        .map(|element| hop(element.trim()))
        .collect()
}

/// The `for` parameter of one element of `Forwarded`.
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let mut pairs = element.split(';').filter_map(|pair| pair.split_once('='));
    let (_, node) = pairs.find(|(name, _)| name.trim().eq_ignore_ascii_case("for"))?;
    address(node.trim().trim_matches('"'))
}

/// An address with or without a port; IPv6 with or without brackets.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(text);
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    bare.parse().ok().or_else(with_port)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seen(peer: &str, header: ProxyHeader, fields: &[(&str, &str)]) -> String {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(
                http::HeaderName::from_bytes(name.as_bytes()).unwrap(),
                value.parse().unwrap(),
            );
        }
        let blocks = ["10.0.0.0/8", "fd00::/8"]
            .map(|block| block.parse().unwrap())
            .to_vec();
        client_ip(
            peer.parse().unwrap(),
            &headers,
            &TrustedProxies { blocks, header },
        )
        .to_string()
    }

    const XFF: ProxyHeader = ProxyHeader::XForwardedFor;
    const RFC: ProxyHeader = ProxyHeader::Forwarded;

    #[test]
    fn row_226_an_untrusted_peer_cannot_choose_its_address() {
        assert_eq!(
            seen("203.0.113.9", XFF, &[("x-forwarded-for", "1.1.1.1")]),
            "203.0.113.9"
        );
        assert_eq!(
            seen("203.0.113.9", RFC, &[("forwarded", "for=1.1.1.1")]),
            "203.0.113.9"
        );
        assert_eq!(
            seen("::ffff:203.0.113.9", XFF, &[("x-forwarded-for", "1.1.1.1")]),
            "203.0.113.9"
        );
    }

    #[test]
    fn behind_proxies_the_last_address_they_did_not_write_themselves_counts() {
        let forged = ("x-forwarded-for", "6.6.6.6, 198.51.100.7");
        assert_eq!(seen("10.0.0.1", XFF, &[forged]), "198.51.100.7");
        assert_eq!(
            seen(
                "10.0.0.1",
                XFF,
                &[
                    ("x-forwarded-for", "6.6.6.6"),
                    ("x-forwarded-for", "198.51.100.7:99, 10.2.3.4")
                ]
            ),
            "198.51.100.7"
        );
        assert_eq!(
            seen("fd00::1", XFF, &[("x-forwarded-for", "[2001:db8::5]:80")]),
            "2001:db8::5"
        );
        assert_eq!(
            seen(
                "10.0.0.1",
                XFF,
                &[("x-forwarded-for", "198.51.100.7, rubbish")]
            ),
            "10.0.0.1"
        );
        assert_eq!(seen("10.0.0.1", XFF, &[]), "10.0.0.1");
    }

    #[test]
    fn only_the_configured_field_counts() {
        let both = [
            ("x-forwarded-for", "1.1.1.1"),
            ("forwarded", "for=2.2.2.2;proto=https"),
        ];
        assert_eq!(seen("10.0.0.1", XFF, &both), "1.1.1.1");
        assert_eq!(seen("10.0.0.1", RFC, &both), "2.2.2.2");
        assert_eq!(
            seen(
                "10.0.0.1",
                RFC,
                &[(
                    "forwarded",
                    "for=6.6.6.6, By=10.0.0.9;For=\"[2001:db8::7]:4711\""
                )]
            ),
            "2001:db8::7"
        );
        assert_eq!(
            seen("10.0.0.1", RFC, &[("forwarded", "for=_hidden")]),
            "10.0.0.1"
        );
    }

    proptest! {
        #[test]
        fn no_header_makes_it_panic(value in "[ -~]{0,80}") {
            seen("10.0.0.1", XFF, &[("x-forwarded-for", &value)]);
            seen("10.0.0.1", RFC, &[("forwarded", &value)]);
        }
    }
}

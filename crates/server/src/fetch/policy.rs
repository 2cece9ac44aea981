//! What may be fetched at all: judged once by the text, when it is registered and again before it is used, and once
//! more by the address that a name turned out to have.

use std::net::IpAddr;

use url::{Host, Url};

use super::address::is_public;
use crate::config::{self, Cidr};

/// The longest URL that is fetched.
const LONGEST: usize = 2048;

/// Why a URL is not fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefusedUrl {
    /// It is not a URL, is too long, or holds a user, a password or a fragment.
    #[error("it must be a URL without user, password and fragment")]
    Malformed,
    /// It is not https.
    #[error("it must use https")]
    NotHttps,
    /// Its address is inside a network.
    #[error("its address is not public, and no setting allows it")]
    NotPublic,
}

/// The operator's word on what may be fetched.
#[derive(Clone, Debug)]
pub struct Policy {
    allowed: Vec<Cidr>,
    plain_http_to_loopback: bool,
}

impl Policy {
    /// By these settings.
    pub fn new(settings: &config::Fetch) -> Self {
        Self {
            allowed: settings.allowed_addresses.clone(),
            plain_http_to_loopback: settings.plain_http_to_loopback,
        }
    }

    /// Whether an address may be connected to.
    pub fn permits(&self, address: IpAddr) -> bool {
        let is_loopback = address.to_canonical().is_loopback();
        is_public(address)
            || (is_loopback && self.plain_http_to_loopback)
            || self.allowed.iter().any(|block| block.contains(address))
    }

    /// The URL of this text, if it may be fetched as far as the text tells.
    ///
    /// # Errors
    /// [`RefusedUrl`].
    pub fn check(&self, text: &str) -> Result<Url, RefusedUrl> {
        let url = Url::parse(text).map_err(|_| RefusedUrl::Malformed)?;
        let has_more = !url.username().is_empty() || url.password().is_some() || text.contains('#');
        if has_more || text.len() > LONGEST {
            return Err(RefusedUrl::Malformed);
        }
        let address = match url.host().ok_or(RefusedUrl::Malformed)? {
            Host::Ipv4(address) => Some(IpAddr::V4(address)),
            Host::Ipv6(address) => Some(IpAddr::V6(address)),
            Host::Domain(_) => None,
        };
        match url.scheme() {
            "https" => {}
            "http" if self.plain_http_to_loopback && is_loopback(&url, address) => {}
            _ => return Err(RefusedUrl::NotHttps),
        }
        // A name is judged when it is resolved; this one never means anything else.
        let is_refused = match address {
            Some(address) => !self.permits(address),
            None => is_localhost(&url) && !self.permits(IpAddr::from([127, 0, 0, 1])),
        };
        if is_refused {
            return Err(RefusedUrl::NotPublic);
        }
        Ok(url)
    }
}

fn is_loopback(url: &Url, address: Option<IpAddr>) -> bool {
    address.is_some_and(|address| address.to_canonical().is_loopback()) || is_localhost(url)
}

fn is_localhost(url: &Url) -> bool {
    let name = url.host_str().unwrap_or_default();
    let name = name.strip_suffix('.').unwrap_or(name);
    name == "localhost" || name.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(plain_http_to_loopback: bool, allowed: &[&str]) -> Policy {
        Policy {
            allowed: allowed.iter().map(|block| block.parse().unwrap()).collect(),
            plain_http_to_loopback,
        }
    }

    #[test]
    fn only_https_to_the_outside_is_fetched() {
        let strict = policy(false, &[]);
        for text in [
            "https://as.test/jwks",
            "https://as.test:8443/a?b=c",
            "https://8.8.8.8/",
            "https://[2606:4700::1]/",
        ] {
            assert!(strict.check(text).is_ok(), "{text}");
        }
        let refused = [
            ("http://as.test/", RefusedUrl::NotHttps),
            ("http://127.0.0.1:22", RefusedUrl::NotHttps),
            ("http://169.254.169.254/", RefusedUrl::NotHttps),
            ("ftp://as.test/", RefusedUrl::NotHttps),
            ("file:///etc/passwd", RefusedUrl::Malformed),
            ("data:,x", RefusedUrl::Malformed),
            ("jwks.json", RefusedUrl::Malformed),
            ("", RefusedUrl::Malformed),
            ("https://user@as.test/", RefusedUrl::Malformed),
            ("https://:secret@as.test/", RefusedUrl::Malformed),
            ("https://as.test/#x", RefusedUrl::Malformed),
            ("https://10.0.0.1/", RefusedUrl::NotPublic),
            ("https://127.0.0.1/", RefusedUrl::NotPublic),
            ("https://127.1/", RefusedUrl::NotPublic),
            ("https://2130706433/", RefusedUrl::NotPublic),
            ("https://0x7f.0.0.1/", RefusedUrl::NotPublic),
            ("https://[::1]/", RefusedUrl::NotPublic),
            ("https://[::ffff:10.0.0.1]/", RefusedUrl::NotPublic),
            ("https://169.254.169.254/latest", RefusedUrl::NotPublic),
            ("https://localhost/", RefusedUrl::NotPublic),
            ("https://a.LocalHost./", RefusedUrl::NotPublic),
        ];
        for (text, why) in refused {
            assert_eq!(strict.check(text).unwrap_err(), why, "{text}");
        }
        let long = format!("https://as.test/{}", "a".repeat(LONGEST));
        assert_eq!(strict.check(&long), Err(RefusedUrl::Malformed));
    }

    #[test]
    fn a_setting_opens_what_it_names_and_nothing_more() {
        let dev = policy(true, &[]);
        for text in [
            "http://127.0.0.1:9000/jwks",
            "http://localhost:9000/jwks",
            "http://[::1]/",
        ] {
            assert!(dev.check(text).is_ok(), "{text}");
        }
        for text in [
            "http://as.test/",
            "https://10.0.0.1/",
            "http://10.0.0.1/",
            "http://localhost.evil.test/",
        ] {
            assert!(dev.check(text).is_err(), "{text}");
        }
        let inside = policy(false, &["10.1.0.0/16"]);
        assert!(inside.check("https://10.1.2.3/").is_ok());
        for text in [
            "https://10.2.0.1/",
            "http://10.1.2.3/",
            "https://127.0.0.1/",
        ] {
            assert!(inside.check(text).is_err(), "{text}");
        }
    }
}

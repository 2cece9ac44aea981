//! Where things are: the issuer (RFC 8414 section 2), the database, proxies and the audit class.
//! An issuer is kept code point for code point; one over plain HTTP must be loopback.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use figment::value::Value;
use tokensmith_oauth2::Secret;
use url::{Host, Url};

use super::value::{Setting, must_be, quoted, text};

/// The issuer identifier, exactly as configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuer(String);

impl Issuer {
    /// Checks an issuer: absolute `https` URL, or `http` on loopback, without query and fragment.
    ///
    /// # Errors
    /// A sentence fragment that says which rule is broken.
    pub fn parse(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|_| must_be(Self::FORM))?;
        let has_rest = text.contains(['?', '#', '@', '\\'])
            || text.chars().any(|c| c.is_ascii_control() || c == ' ');
        if has_rest || url.host().is_none() {
            return Err(must_be(Self::FORM));
        }
        match url.scheme() {
            "https" => Ok(Self(text.to_owned())),
            "http" if is_loopback(&url) => Ok(Self(text.to_owned())),
            "http" => Err("must use https, because tokens would cross the network in clear; plain http is for loopback only".into()),
            _ => Err(must_be(Self::FORM)),
        }
    }

    /// The identifier, for `iss` and comparisons.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The absolute URL of a path that starts with a slash.
    pub fn endpoint(&self, path: &str) -> String {
        format!("{}{path}", self.0.strip_suffix('/').unwrap_or(&self.0))
    }

    /// The host alone, as a domain or an address.
    pub fn host(&self) -> String {
        let url = Url::parse(&self.0).ok();
        let host = url.as_ref().and_then(Url::host_str);
        host.unwrap_or("localhost").to_owned()
    }

    /// Whether only this machine reaches it.
    pub fn is_loopback(&self) -> bool {
        Url::parse(&self.0).is_ok_and(|url| is_loopback(&url))
    }

    /// Its origin (RFC 6454 §6.2), as browsers name it in `Origin`.
    pub fn origin(&self) -> String {
        Url::parse(&self.0).map_or_else(|_| String::new(), |url| url.origin().ascii_serialization())
    }

    /// Whether browsers reach it over TLS, so that cookies may say `Secure`.
    pub fn is_https(&self) -> bool {
        self.0.starts_with("https:")
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

impl fmt::Display for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Setting for Issuer {
    const FORM: &'static str =
        "a URL such as \"https://login.example.com\" without user, query and fragment";

    fn read(value: &Value) -> Result<Self, String> {
        Self::parse(&text(value).ok_or_else(|| must_be(Self::FORM))?)
    }

    fn show(&self) -> String {
        quoted(&self.0)
    }
}

/// The store to use.
#[derive(Debug, Clone)]
pub enum Database {
    /// One SQLite file; a relative path starts at the data directory.
    Sqlite(PathBuf),
    /// A PostgreSQL connection URL, which may hold a password.
    Postgres(Secret),
}

impl Database {
    /// The same, with a relative SQLite path put under the data directory.
    #[must_use]
    pub fn under(self, data_dir: &Path) -> Self {
        match self {
            Self::Sqlite(path) => Self::Sqlite(data_dir.join(path)),
            postgres @ Self::Postgres(_) => postgres,
        }
    }
}

impl Setting for Database {
    const FORM: &'static str = "\"sqlite:PATH\" or \"postgres://USER:PASSWORD@HOST/NAME\"";
    const SECRET: bool = true;

    fn read(value: &Value) -> Result<Self, String> {
        let text = text(value).ok_or_else(|| must_be(Self::FORM))?;
        match text.split_once(':') {
            Some(("sqlite", path)) if !path.is_empty() => {
                Ok(Self::Sqlite(path.strip_prefix("//").unwrap_or(path).into()))
            }
            Some(("postgres" | "postgresql", rest)) if rest.starts_with("//") => {
                Ok(Self::Postgres(Secret::new(text)))
            }
            _ => Err(must_be(Self::FORM)),
        }
    }

    /// The password of a PostgreSQL URL is left out.
    fn show(&self) -> String {
        match self {
            Self::Sqlite(path) => quoted(format_args!("sqlite:{}", path.display())),
            Self::Postgres(url) => {
                let mut url = Url::parse(url.expose()).ok();
                let shown = url.as_mut().and_then(|url| {
                    let secret = url.password().is_some() || url.query().is_some();
                    url.set_query(None);
                    url.set_password(secret.then_some("REDACTED")).ok()?;
                    Some(quoted(url.as_str()))
                });
                shown.unwrap_or_else(|| "(secret)".to_owned())
            }
        }
    }
}

/// A block of addresses, such as `10.0.0.0/8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    network: IpAddr,
    prefix: u8,
}

impl Cidr {
    /// Whether an address lies in the block; IPv4 inside IPv6 counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.network, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let mask = u32::MAX
                    .checked_shl(32 - u32::from(self.prefix))
                    .unwrap_or(0);
                network.to_bits() & mask == address.to_bits() & mask
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let mask = u128::MAX
                    .checked_shl(128 - u32::from(self.prefix))
                    .unwrap_or(0);
                network.to_bits() & mask == address.to_bits() & mask
            }
            _ => false,
        }
    }
}

impl FromStr for Cidr {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (address, prefix) = text
            .split_once('/')
            .map_or((text, None), |(a, p)| (a, Some(p)));
        let network: IpAddr = address.parse().map_err(drop)?;
        let longest = if network.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Ok(longest), |prefix| prefix.parse().map_err(drop))?;
        (prefix <= longest)
            .then_some(Self { network, prefix })
            .ok_or(())
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.prefix)
    }
}

impl Setting for Cidr {
    const FORM: &'static str = "an address block such as \"10.0.0.0/8\" or \"fd00::/8\"";

    fn read(value: &Value) -> Result<Self, String> {
        super::value::parsed(value)
    }

    fn show(&self) -> String {
        quoted(self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_issuer_is_https_or_loopback_and_kept_exactly() {
        for good in [
            "https://login.example.com",
            "https://EXAMPLE.com/tenant/",
            "http://localhost:8000",
            "http://127.0.0.1:1",
            "http://[::1]:8000",
        ] {
            assert_eq!(Issuer::parse(good).unwrap().as_str(), good);
        }
        for bad in [
            "",
            "login.example.com",
            "ftp://x",
            "https://",
            "https://a@b",
            "https://x/?q",
            "https://x/#f",
            "https://x/ y",
            "https://x\n",
        ] {
            assert_eq!(Issuer::parse(bad), Err(must_be(Issuer::FORM)), "{bad}");
        }
        for plain in [
            "http://login.example.com",
            "http://127.0.0.1.evil.test",
            "http://0.0.0.0:8000",
            "http://localhost.evil.test",
        ] {
            assert!(
                Issuer::parse(plain).unwrap_err().contains("must use https"),
                "{plain}"
            );
        }
    }

    #[test]
    fn an_endpoint_has_one_slash_however_the_issuer_ends() {
        for issuer in ["https://x.test/a", "https://x.test/a/"] {
            assert_eq!(
                Issuer::parse(issuer).unwrap().endpoint("/oauth/token"),
                "https://x.test/a/oauth/token"
            );
        }
    }

    #[test]
    fn a_database_shows_no_password() {
        let read = |text: &str| Database::read(&Value::from(text));
        let shown = read("postgres://ts:hunter2@db/ts?password=hunter2").unwrap();
        assert!(
            !shown.show().contains("hunter2") && !format!("{shown:?}").contains("hunter2"),
            "{}",
            shown.show()
        );
        assert_eq!(shown.show(), "\"postgres://ts:REDACTED@db/ts\"");
        assert_eq!(
            read("sqlite:a.db").unwrap().under(Path::new("/d")).show(),
            "\"sqlite:/d/a.db\""
        );
        assert_eq!(
            read("sqlite:///abs/a.db")
                .unwrap()
                .under(Path::new("/d"))
                .show(),
            "\"sqlite:/abs/a.db\""
        );
        assert!(read("mysql://x").is_err() && read("a.db").is_err() && read("sqlite:").is_err());
    }

    #[test]
    fn a_block_holds_its_addresses_and_no_others() {
        let block: Cidr = "10.1.0.0/16".parse().unwrap();
        assert!(block.contains("10.1.255.1".parse().unwrap()));
        assert!(block.contains("::ffff:10.1.2.3".parse().unwrap()));
        assert!(!block.contains("10.2.0.1".parse().unwrap()));
        assert!(
            "0.0.0.0/0"
                .parse::<Cidr>()
                .unwrap()
                .contains("8.8.8.8".parse().unwrap())
        );
        assert!("10.0.0.0/33".parse::<Cidr>().is_err() && "x/8".parse::<Cidr>().is_err());
    }

    proptest! {
        #[test]
        fn a_block_of_full_length_holds_exactly_one_address(a: u128, b: u128) {
            let (a, b) = (IpAddr::V6(a.into()), IpAddr::V6(b.into()));
            let block: Cidr = format!("{a}/128").parse().unwrap();
            prop_assert!(block.contains(a) || a.to_canonical().is_ipv4());
            prop_assert_eq!(block.contains(b), a == b && b.to_canonical().is_ipv6());
        }

        #[test]
        fn no_text_makes_an_issuer_panic(text in "\\PC{0,40}") {
            let _ = Issuer::parse(&text);
        }
    }
}

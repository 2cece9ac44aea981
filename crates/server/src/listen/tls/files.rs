//! PEM files (RFC 7468) of certificates and keys, and whether they changed. Contents are compared, not times:
//! mounted secrets are swapped by links. Refuses files over 1 MiB.

use std::io::Read;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Context, SHA256};
use parking_lot::Mutex;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

use super::CertificateError;

const LARGEST_FILE: u64 = 1 << 20;
/// More certificates than any chain or list of authorities of ours needs.
const MOST_CERTIFICATES: usize = 256;

/// What a file holds; cleared after use, since one of them is a key.
pub(super) type Content = Zeroizing<Vec<u8>>;

/// Files that may change together.
#[derive(Debug)]
pub(super) struct Watched {
    paths: Vec<PathBuf>,
    /// A digest over what was read last, usable or not, so that one broken file is logged once.
    seen: Mutex<Option<Vec<u8>>>,
}

impl Watched {
    pub(super) fn new(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        Self {
            paths: paths.into_iter().collect(),
            seen: Mutex::new(None),
        }
    }

    pub(super) fn paths(&self) -> &[PathBuf] {
        &self.paths
    }

    /// Reads all of them.
    pub(super) fn read(&self) -> Result<Vec<Content>, CertificateError> {
        let contents = self.paths.iter().map(|path| read(path));
        let contents: Vec<_> = contents.collect::<Result<_, _>>()?;
        *self.seen.lock() = Some(digest(&contents));
        Ok(contents)
    }

    /// Reads them again; `None` when nothing changed since, the way they failed included.
    pub(super) fn changed(&self) -> Option<Result<Vec<Content>, CertificateError>> {
        let contents = self.paths.iter().map(|path| read(path));
        let contents: Result<Vec<_>, _> = contents.collect();
        let now = match &contents {
            Ok(contents) => digest(contents),
            Err(error) => error.to_string().into_bytes(),
        };
        let before = self.seen.lock().replace(now.clone());
        (before != Some(now)).then_some(contents)
    }
}

fn digest(contents: &[Content]) -> Vec<u8> {
    let mut context = Context::new(&SHA256);
    for content in contents {
        context.update(&(content.len() as u64).to_be_bytes());
        context.update(content);
    }
    context.finish().as_ref().to_vec()
}

fn read(path: &Path) -> Result<Content, CertificateError> {
    let unreadable =
        |error| CertificateError(format!("{} cannot be read: {error}", path.display()));
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut content = Content::default();
    file.take(LARGEST_FILE + 1)
        .read_to_end(&mut content)
        .map_err(unreadable)?;
    if content.len() as u64 > LARGEST_FILE {
        return Err(CertificateError(format!(
            "{} is larger than 1 MiB",
            path.display()
        )));
    }
    Ok(content)
}

/// The certificates of a file, at least one.
pub(super) fn certificates(
    content: &[u8],
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let found = CertificateDer::pem_slice_iter(content).take(MOST_CERTIFICATES + 1);
    let found: Result<Vec<_>, _> = found.collect();
    match found {
        Ok(found) if (1..=MOST_CERTIFICATES).contains(&found.len()) => Ok(found),
        Ok(_) => Err(CertificateError(format!(
            "{} must hold 1 to {MOST_CERTIFICATES} certificates in PEM",
            path.display()
        ))),
        Err(error) => Err(CertificateError(format!(
            "{} is not PEM: {error}",
            path.display()
        ))),
    }
}

/// The one private key of a file.
pub(super) fn private_key(
    content: &[u8],
    path: &Path,
) -> Result<PrivateKeyDer<'static>, CertificateError> {
    PrivateKeyDer::from_pem_slice(content).map_err(|_| {
        CertificateError(format!(
            "{} holds no private key in PEM (PKCS #8, SEC 1 or PKCS #1, not encrypted)",
            path.display()
        ))
    })
}

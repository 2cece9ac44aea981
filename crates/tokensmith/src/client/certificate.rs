//! What a client registers of its certificate (RFC 8705 §2), from the command line.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result, ensure};
use clap::Args;
use tokensmith_server::mtls::{self, Registration};
use tokensmith_store::{AuthMethod, ClientMetadata};

#[derive(Debug, Args)]
pub(super) struct CertificateOptions {
    /// For tls_client_auth, one of five: the subject of its certificate as RFC 4514 writes it, such as CN=billing,O=Activity
    #[arg(long, value_name = "NAME")]
    tls_subject_dn: Option<String>,
    /// A DNS name of its certificate
    #[arg(long, value_name = "NAME")]
    tls_san_dns: Option<String>,
    /// A URI of its certificate
    #[arg(long, value_name = "URI")]
    tls_san_uri: Option<String>,
    /// An IP address of its certificate
    #[arg(long, value_name = "ADDRESS")]
    tls_san_ip: Option<String>,
    /// An e-mail address of its certificate
    #[arg(long, value_name = "ADDRESS")]
    tls_san_email: Option<String>,
    /// For self_signed_tls_client_auth: its certificate, in PEM
    #[arg(long, value_name = "FILE")]
    tls_certificate: Option<PathBuf>,
    /// Bind its tokens to the certificate it shows, however it authenticates
    #[arg(long)]
    certificate_bound_tokens: bool,
}

impl CertificateOptions {
    /// Adds what was given here, and checks what the client registers of its certificate.
    pub(super) fn complete(
        &self,
        method: AuthMethod,
        mut metadata: ClientMetadata,
    ) -> Result<ClientMetadata> {
        let given = [
            (
                &self.tls_subject_dn,
                &mut metadata.tls_client_auth_subject_dn,
            ),
            (&self.tls_san_dns, &mut metadata.tls_client_auth_san_dns),
            (&self.tls_san_uri, &mut metadata.tls_client_auth_san_uri),
            (&self.tls_san_ip, &mut metadata.tls_client_auth_san_ip),
            (&self.tls_san_email, &mut metadata.tls_client_auth_san_email),
        ];
        let mut names_one = self.tls_certificate.is_some();
        for (given, member) in given {
            if given.is_some() {
                names_one = true;
                member.clone_from(given);
            }
        }
        if let Some(jwks) = self.jwks()? {
            metadata.jwks = Some(jwks);
        }
        metadata.tls_client_certificate_bound_access_tokens |= self.certificate_bound_tokens;
        let is_by_certificate = Registration::of(method, &metadata)?.is_some();
        ensure!(
            is_by_certificate || !names_one,
            "{} shows no certificate: use --auth-method tls_client_auth or self_signed_tls_client_auth",
            method.as_str()
        );
        Ok(metadata)
    }

    fn jwks(&self) -> Result<Option<serde_json::Value>> {
        let Some(path) = &self.tls_certificate else {
            return Ok(None);
        };
        let pem = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let jwks = mtls::jwks_of_pem(&pem);
        jwks.map(Some).with_context(|| {
            format!(
                "{} holds no certificate in PEM with an EC, RSA or Ed25519 key",
                path.display()
            )
        })
    }
}

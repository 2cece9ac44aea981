//! `tokensmith token revoke`: ends what an operator names. Every node and every following service refuses it within a
//! second.

use std::process::ExitCode;

use anyhow::{Result, anyhow, ensure};
use clap::Args;
use tokensmith_oauth2::ClientId;
use tokensmith_server::timeline::Subject;
use tokensmith_store::{
    EndFamilies, EndSession, EndSessionsOf, FamilyScope, RevocationKind, Revoke, TokenNames,
};

use super::named::{Named, Wanted, argument};
use crate::data::{Data, Place};

const REASON: &str = "revoked_by_operator";

#[derive(Debug, Args)]
pub(super) struct RevokeToken {
    /// A token, an access token's jti, a refresh token family, a session, or a user (id or e-mail address). Left out,
    /// it is read from standard input, where other users of the machine cannot see a token
    #[arg(conflicts_with = "client")]
    what: Option<String>,
    /// Every token of this client, and every refresh token granted to it
    #[arg(long, value_name = "CLIENT_ID")]
    client: Option<String>,
}

impl RevokeToken {
    pub(super) fn run(self, place: &Place) -> Result<ExitCode> {
        if let Some(client) = &self.client {
            let id = ClientId::parse(client).map_err(|error| anyhow!("{client:?}: {error}"))?;
            place.run(async |data| revoke_client(data, &id).await)?;
            return Ok(ExitCode::SUCCESS);
        }
        let what = argument(self.what)?;
        place.run(async |data| {
            let named = Named::by(data, &what, Wanted::Token).await?;
            revoke(data, named).await
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

async fn revoke(data: &Data, named: Named) -> Result<()> {
    match named.subject {
        Subject::Family(id) => {
            let ended = end_families(data, FamilyScope::Family(id)).await?;
            ensure!(ended == 1, "the family had ended before");
            println!("the family is ended");
        }
        Subject::Session(id) => {
            let end = EndSession {
                id,
                user_id: None,
                reason: REASON,
                revoked_until: data.revoked_until(),
                context: data.context(),
            };
            let ended = data.store.write(end).await?;
            ensure!(ended.sessions == 1, "the session had ended before");
            println!(
                "the session is ended, with {} refresh token families",
                ended.families
            );
        }
        Subject::User(user_id) => {
            let subject = user_id.to_string();
            let end = EndSessionsOf {
                user_id,
                except: None,
                reason: REASON,
                revoked_until: data.revoked_until(),
                context: data.context(),
            };
            let ended = data.store.write(end).await?;
            publish(data, RevocationKind::User, subject).await?;
            println!(
                "every token of the user is refused; {} sessions and {} refresh token families ended",
                ended.sessions, ended.families
            );
        }
        Subject::Token(jti) => {
            if named.expires_at.is_none() {
                let known = data.store.audit_of_jti(&jti, 1).await?;
                ensure!(
                    !known.is_empty(),
                    "no token with the jti {jti:?} is recorded"
                );
            }
            let revoke = Revoke {
                kind: RevocationKind::Token,
                subject: jti,
                expires_at: named.expires_at.unwrap_or_else(|| data.revoked_until()),
                names: named.names,
                context: data.context(),
            };
            ensure!(
                data.store.write(revoke).await?,
                "the token was revoked before"
            );
            println!("the token is revoked");
        }
    }
    Ok(())
}

async fn revoke_client(data: &Data, id: &ClientId) -> Result<()> {
    ensure!(
        data.store.client(id).await?.is_some(),
        "there is no client {:?}",
        id.as_str()
    );
    let mut families = 0;
    loop {
        let ended = end_families(data, FamilyScope::Client(id.clone())).await?;
        families += ended;
        if ended < EndFamilies::BATCH {
            break;
        }
    }
    publish(data, RevocationKind::Client, id.to_string()).await?;
    println!("every token of the client is refused; {families} refresh token families ended");
    Ok(())
}

async fn end_families(data: &Data, scope: FamilyScope) -> Result<u64> {
    let end = EndFamilies {
        scope,
        reason: REASON,
        revoked_until: data.revoked_until(),
        context: data.context(),
    };
    Ok(data.store.write(end).await?)
}

async fn publish(data: &Data, kind: RevocationKind, subject: String) -> Result<()> {
    let revoke = Revoke {
        kind,
        subject,
        expires_at: data.revoked_until(),
        names: TokenNames::default(),
        context: data.context(),
    };
    data.store.write(revoke).await?;
    Ok(())
}

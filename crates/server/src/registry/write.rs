//! Writing declarations: the steps become one operation, which knows what may be named without being declared.

use std::time::Duration;

use tokensmith_store::{
    AuditContext, ChangeDeclarations, Declaration, Declared as Outcome, Store, StoreError,
};

use super::{BUILT_IN, Step, check_issuer};
use crate::{config::Config, fetch::Policy, keys::check_declared};

/// Scopes that speak to this server (OpenID Connect Core §5.4, §11).
const OF_OPENID: [&str; 4] = ["openid", "profile", "email", "offline_access"];
/// No access token lives longer, unless its client's record says so.
const A_DAY: Duration = Duration::from_secs(24 * 3600);

/// Why nothing was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WriteRefusal {
    /// These records are not as they were read.
    ChangedMeanwhile(Vec<String>),
    /// The registry would contradict itself: sentences.
    Contradicts(Vec<String>),
}

/// Writes all steps in one transaction, or none.
///
/// # Errors
/// When the store does not answer. The inner result says why nothing was written.
pub async fn write(
    store: &Store,
    config: &Config,
    steps: Vec<Step>,
    context: AuditContext,
) -> Result<Result<(), WriteRefusal>, StoreError> {
    let problems = unfit(config, &steps);
    if !problems.is_empty() {
        return Ok(Err(WriteRefusal::Contradicts(problems)));
    }
    let names = BUILT_IN.iter().chain(&OF_OPENID).copied();
    let built_in = names.chain([config.audience()]).map(str::to_owned);
    let longest = steps.iter().filter_map(|step| match &step.before {
        Some(Declaration::Client(client)) => client.access_token_seconds,
        _ => None,
    });
    let longest = longest
        .max()
        .and_then(|seconds| u64::try_from(seconds).ok());
    let life = longest.map_or(A_DAY, Duration::from_secs).max(A_DAY);
    let operation = ChangeDeclarations {
        revoked_until: context.at + life.max(config.tokens.access_token_lifetime),
        changes: steps.into_iter().map(Step::into_change).collect(),
        built_in: built_in.collect(),
        context,
    };
    Ok(match store.write(operation).await? {
        Outcome::Done => Ok(()),
        Outcome::ChangedMeanwhile(records) => Err(WriteRefusal::ChangedMeanwhile(records)),
        Outcome::Refused(sentences) => Err(WriteRefusal::Contradicts(sentences)),
    })
}

/// What this server's own configuration does not allow.
fn unfit(config: &Config, steps: &[Step]) -> Vec<String> {
    let policy = Policy::new(&config.fetch);
    let check = |after: &Declaration| match after {
        Declaration::Resource(resource) => check_declared(config, resource),
        Declaration::Client(client) => match &client.metadata.jwks_uri {
            None => Ok(()),
            Some(uri) => policy.check(uri).map(drop).map_err(|error| {
                format!(
                    "client {}: jwks_uri {uri:?} is refused: {error}",
                    client.client_id
                )
            }),
        },
        Declaration::Issuer(issuer) => check_issuer(issuer, &policy)
            .map_err(|problem| format!("issuer {}: {problem}", issuer.issuer)),
        _ => Ok(()),
    };
    let after = steps.iter().filter_map(|step| step.after.as_ref());
    let problems = after.filter_map(|after| check(after).err());
    problems.map(|problem| format!("{problem}.")).collect()
}

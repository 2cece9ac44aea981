//! Records, operations, and the two engines that run them: SQLite and PostgreSQL.
//!
//! The only crate that knows SQL. A caller reads with `store.client(&id)` and changes the world with
//! `store.write(Operation)`: one operation is one named struct, one domain event and one transaction.
//! No transaction ever leaves this crate.

mod account;
mod account_proof;
mod api_key;
mod audit;
mod auth_method;
mod authentication;
mod backup;
mod browser_session;
mod client;
mod client_metadata;
mod declaration;
mod engine;
mod epoch;
mod error;
mod exchange_rule;
mod factor;
mod group;
mod group_member;
mod id;
mod imported;
mod invitation;
mod lease;
mod membership;
mod operation;
mod organization;
mod organization_brand;
mod organization_state;
mod outbox;
mod pending_sign_in;
mod refresh_family;
mod refresh_token;
mod remembered_device;
mod resource;
mod revocation;
mod role;
mod role_assignment;
mod schema;
mod schema_of;
mod session;
mod signing_key;
mod standing;
mod statistics;
mod store;
mod sweep;
mod timestamp;
mod trusted_issuer;
mod tx;
mod used_jti;
mod user;
mod verify;

pub use account::{
    AccountDeletion, ChangeEmail, DeleteAccount, EmailChange, RegisterAccount, ResetPassword,
    VerifyEmail,
};
pub use account_proof::{AccountProof, NewProof, ProofKind, SendProof, ShownProof};
pub use api_key::{ApiKey, ApiKeyCreation, ApiKeyOwner, CreateApiKey, RevokeApiKey, TouchApiKey};
pub use audit::{
    AppendAudit, AuditCheckpoint, AuditContext, AuditEvent, AuditFault, AuditPage, AuditRecord,
    ChainHead, DayOfEvents, NOTED, RecordCheckpoint, TokenNames,
};
pub use auth_method::AuthMethod;
pub use authentication::{AssuranceLevel, Authentication};
pub use backup::{BackedUp, back_up_sqlite};
pub use browser_session::{CookieDigest, SetBrowserCookie};
pub use client::{
    ChangeClient, Client, ClientChange, ClientSecret, PutClient, RegisterClient, Registered,
    RemoveClient, SecretHash,
};
pub use client_metadata::ClientMetadata;
pub use declaration::{
    ChangeDeclarations, Declaration, DeclarationChange, DeclarationKind, Declared,
};
pub use error::StoreError;
pub use exchange_rule::{ExchangeMode, ExchangeRule};
pub use factor::{
    AddPasskey, ConfirmTotp, FactorAttempt, FactorRule, FactorRuleSubject, Passkey,
    PasskeyAddition, PutTotp, RecoveryDigest, RemovePasskey, RemoveTotp, RenamePasskey,
    ReplaceRecoveryCodes, SecondFactors, SetFactorRule, TakeFactorAttempt, Totp, TotpConfirmation,
    UsePasskey, UseRecoveryCode, UseTotpStep,
};
pub use group::{CreateGroup, Group, GroupChange, RemoveGroup, UpdateGroup};
pub use group_member::{AddGroupMember, GroupMember, RemoveGroupMember};
pub use id::{
    FamilyId, GroupId, IdError, InvitationId, MailId, OrganizationId, PasskeyId, SessionId, UserId,
};
pub use imported::{
    ImportAuditLine, ImportRefreshFamily, ImportSpentRefreshToken, ImportedRefreshToken,
    SPENT_BEFORE_IMPORT,
};
pub use invitation::{
    AcceptInvitation, Acceptance, Invitation, InviteMember, Inviting, RevokeInvitation,
};
pub use lease::{Lease, ReleaseLease, TakeLease};
pub use membership::{AddMember, ChangeMemberRole, MembershipChange, RemoveMember};
pub use operation::{Durability, Operation};
pub use organization::{
    CreateOrganization, Membership, Organization, OrganizationCreation, OrganizationMember,
    OrganizationOfUser, OrganizationRole,
};
pub use organization_brand::{OrganizationBrand, PutOrganizationBrand};
pub use organization_state::SetOrganizationActive;
pub use outbox::{ClaimMail, ClaimedMail, Delivery, Mail, MailQueue, Mailing, PutMail, SettleMail};
pub use pending_sign_in::{
    BeginSignIn, PendingDigest, PendingPurpose, PendingSignIn, RedeemSignIn,
};
pub use refresh_family::{EndFamilies, FamilyScope, OpenFamily, RefreshFamily};
pub use refresh_token::{MarkSuccessorUsed, RotateRefreshToken, Rotation};
pub use remembered_device::{DeviceDigest, ForgetDevices, RememberDevice};
pub use resource::{PutResource, PutScope, Resource, ScopeDeclaration};
pub use revocation::{RevocationKind, RevocationRecord, Revoke, TokenSubjects};
pub use role::{ADMIN_ROLE, EVERYTHING, Permission, RESERVED, Role, Roles, USERS};
pub use role_assignment::{AssignRole, Giver, RoleAssignment};
pub use schema::SCHEMA_VERSION;
pub use session::{
    EndSession, EndSessionsOf, OpenSession, RenewAuthentication, Session, SessionOpening,
    SessionsEnded, TouchSession,
};
pub use signing_key::{AddSigningKey, EraseSigningKey, RetireSigningKey, SigningKeyRecord};
pub use standing::{ShownToken, Standing};
pub use statistics::Totals;
pub use store::{Options, Store, Target};
pub use sweep::{Expired, Sweep};
pub use timestamp::Timestamp;
pub use trusted_issuer::{PutTrustedIssuer, RemoveTrustedIssuer, TrustedIssuer, WorkloadRule};
pub use tx::{Row, Tx, Value};
pub use used_jti::{JtiKind, JtiUse, UseJti};
pub use user::{
    ChangePassword, PasswordHash, RegisterUser, SetUserActive, UpgradePasswordHash, User,
    UserRegistration,
};
pub use verify::BrokenInvariant;

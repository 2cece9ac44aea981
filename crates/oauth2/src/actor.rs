//! Who acts in a token, and what a token was made of: the claim `act` of RFC 8693 §4.1, and our claim `derived_from`.
//! Both are bounded: a longer chain is refused, never cut.

use serde::{Deserialize, Deserializer, Serialize};

/// An actor: a party that acts for the token's subject, and the one it acts through in its turn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "ActClaim")]
pub struct Actor {
    /// A user's UUID or a client id.
    pub sub: String,
    /// Who says so, when it is another issuer than the token's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iss: Option<String>,
    /// Who acted before. Of no weight in decisions (RFC 8693 §4.1), only for the record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub act: Option<Box<Actor>>,
}

/// More actors follow each other than a token may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the chain of actors is longer than {}", Actor::MOST)]
pub struct TooManyActors;

impl Actor {
    /// The longest chain of actors.
    pub const MOST: usize = 4;

    /// `sub` acts now; `before` acted so far.
    ///
    /// # Errors
    /// [`TooManyActors`].
    pub fn new(sub: impl Into<String>, before: Option<Self>) -> Result<Self, TooManyActors> {
        Self {
            sub: sub.into(),
            iss: None,
            act: before.map(Box::new),
        }
        .bounded()
    }

    /// The actors, the present one first.
    pub fn chain(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |actor| actor.act.as_deref())
    }

    fn bounded(self) -> Result<Self, TooManyActors> {
        if self.chain().count() > Self::MOST {
            return Err(TooManyActors);
        }
        Ok(self)
    }
}

/// The claim as it is read. Other members than these say nothing that anybody here asks for.
#[derive(Deserialize)]
struct ActClaim {
    sub: String,
    #[serde(default, deserialize_with = "present")]
    iss: Option<String>,
    #[serde(default, deserialize_with = "present")]
    act: Option<Box<Actor>>,
}

impl TryFrom<ActClaim> for Actor {
    type Error = TooManyActors;

    fn try_from(claim: ActClaim) -> Result<Self, TooManyActors> {
        let ActClaim { sub, iss, act } = claim;
        Self { sub, iss, act }.bounded()
    }
}

/// A token that another was made of. Whatever ends this one ends the other, too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ancestor {
    /// Its id.
    pub jti: String,
    /// The client it was issued to.
    pub client_id: String,
    /// Who it is about, when that is not the subject of the token made of it.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    pub sub: Option<String>,
    /// Its session, when that is not the one of the token made of it.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    pub sid: Option<String>,
    /// Its refresh token family, when that is not the one of the token made of it.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    pub grant_id: Option<String>,
}

/// Every token that a token was made of, the newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Ancestor>")]
pub struct Lineage(Vec<Ancestor>);

/// A token is made of more tokens than it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the token is made of too many others")]
pub struct TooManyAncestors;

impl Lineage {
    /// The most tokens that a token may be made of.
    pub const MOST: usize = 8;

    /// True for a token that was made of no other.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The tokens, the newest first.
    pub fn iter(&self) -> std::slice::Iter<'_, Ancestor> {
        self.0.iter()
    }
}

impl TryFrom<Vec<Ancestor>> for Lineage {
    type Error = TooManyAncestors;

    fn try_from(ancestors: Vec<Ancestor>) -> Result<Self, TooManyAncestors> {
        if ancestors.len() > Self::MOST {
            return Err(TooManyAncestors);
        }
        Ok(Self(ancestors))
    }
}

/// A member that is there has its type: `null` is not absence.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn chain_of(length: usize) -> Value {
        (0..length).fold(Value::Null, |before, at| match before {
            Value::Null => json!({"sub": format!("svc{at}")}),
            before => json!({"sub": format!("svc{at}"), "act": before}),
        })
    }

    #[test]
    fn a_chain_is_read_and_written_the_present_actor_first_and_never_cut() {
        let actor: Actor = serde_json::from_value(chain_of(Actor::MOST)).unwrap();
        let names: Vec<&str> = actor.chain().map(|actor| actor.sub.as_str()).collect();
        assert_eq!(names, ["svc3", "svc2", "svc1", "svc0"]);
        assert_eq!(serde_json::to_value(&actor).unwrap(), chain_of(Actor::MOST));
        assert!(serde_json::from_value::<Actor>(chain_of(Actor::MOST + 1)).is_err());
        assert!(serde_json::from_value::<Actor>(chain_of(100)).is_err());
        assert_eq!(Actor::new("one more", Some(actor)), Err(TooManyActors));
    }

    #[test]
    fn an_actor_of_another_shape_is_refused() {
        for claim in [
            json!(null),
            json!("svc"),
            json!([]),
            json!({}),
            json!({"sub": 1}),
            json!({"sub": null}),
            json!({"sub": "svc", "act": null}),
            json!({"sub": "svc", "act": "svc"}),
            json!({"sub": "svc", "iss": null}),
        ] {
            assert!(
                serde_json::from_value::<Actor>(claim.clone()).is_err(),
                "{claim}"
            );
        }
        assert!(serde_json::from_value::<Actor>(json!({"sub": "svc", "name": "x"})).is_ok());
    }

    #[test]
    fn a_lineage_is_bounded_and_its_members_have_their_types() {
        let ancestor = json!({"jti": "t", "client_id": "c"});
        let read = |value: Value| serde_json::from_value::<Lineage>(value);
        assert_eq!(
            read(json!(vec![&ancestor; Lineage::MOST]))
                .unwrap()
                .iter()
                .count(),
            8
        );
        assert!(read(json!(vec![&ancestor; Lineage::MOST + 1])).is_err());
        for broken in [
            json!({"jti": "t"}),
            json!({"jti": "t", "client_id": "c", "sid": null}),
            json!({"jti": 1, "client_id": "c"}),
            json!({"jti": "t", "client_id": "c", "planet": "x"}),
        ] {
            assert!(read(json!([broken])).is_err(), "{broken}");
        }
    }
}

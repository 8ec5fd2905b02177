//! Who gets in: a function of what the machine says and what the registry knows.

use std::collections::BTreeMap;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use brine_model::digest::Digest;
use brine_model::name::{NodeName, RoleName};
use brine_model::time::Timestamp;

use super::matches;
use crate::store::{NodeRecord, TokenRecord};

/// Machines that may wait for an operator at a time. Anyone can knock: the list is bounded.
pub(crate) const PENDING: usize = 256;

/// What a machine says, its key proved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    /// Of the token's secret.
    pub token: Option<Digest>,
    pub proposed_name: String,
    pub machine_id: String,
    pub fingerprint: String,
    pub agent_version: String,
}

impl Asked {
    /// Under which id the token is kept. Not secret, and no help in guessing the rest.
    #[must_use]
    pub(crate) fn token_id(&self) -> Option<String> {
        self.token.as_ref().map(Digest::short)
    }

    /// The proposed name, if it is one at all.
    #[must_use]
    pub(crate) fn name(&self) -> Option<NodeName> {
        self.proposed_name.parse().ok()
    }
}

/// What the registry knows that bears on it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Situation {
    /// The node that has this key.
    pub holder: Option<NodeRecord>,
    /// The key was a node's that has been removed.
    pub revoked: bool,
    /// The token with this id.
    pub token: Option<TokenRecord>,
    /// The node that the token was made for.
    pub expected: Option<NodeRecord>,
    /// The proposed name is a node's, or was one's.
    pub name_taken: bool,
    /// The key waits already.
    pub waiting: bool,
    /// How many keys wait.
    pub pending: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Let in before: the same enrolment again, and no use of a token for it.
    Again(NodeName),
    /// Let in, by this token.
    Admit {
        name: NodeName,
        made: Option<Made>,
        token: String,
    },
    /// An operator must say yes.
    Wait {
        why: String,
    },
    Refuse {
        why: String,
    },
}

/// What a pool token makes of a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Made {
    pub roles: Vec<RoleName>,
    pub labels: BTreeMap<String, String>,
}

/// Every condition must hold: a right token with a wrong name does not get in.
#[must_use]
pub(crate) fn decide(asked: &Asked, known: &Situation, now: Timestamp) -> Decision {
    let refuse = |why: &str| Decision::Refuse {
        why: why.to_owned(),
    };
    if known.revoked {
        return refuse(
            "this machine's key was revoked: remove its key, then join with a new token",
        );
    }
    if let Some(node) = &known.holder {
        let same = node
            .enrolled
            .as_ref()
            .is_some_and(|key| key.machine_id == asked.machine_id);
        return if same {
            Decision::Again(node.name.clone())
        } else {
            refuse("this key belongs to another machine: a copied key must be removed first")
        };
    }
    if asked.token.is_none() {
        return wait(known, "it has no token".to_owned());
    }
    // One answer for unknown, expired and used up: a stranger learns nothing about tokens.
    let Some(token) = valid(asked, known, now) else {
        return refuse("the token is not valid: unknown, expired, revoked or used up");
    };
    match &token.node {
        Some(name) => admit_expected(name, token, known),
        None => admit_to_pool(asked, token, known),
    }
}

fn valid<'a>(asked: &Asked, known: &'a Situation, now: Timestamp) -> Option<&'a TokenRecord> {
    let (token, hash) = (known.token.as_ref()?, asked.token.as_ref()?);
    let equal = verify_slices_are_equal(token.hash.as_bytes(), hash.as_bytes()).is_ok();
    (equal && token.uses_left > 0 && token.expires > now).then_some(token)
}

fn admit_expected(name: &NodeName, token: &TokenRecord, known: &Situation) -> Decision {
    match &known.expected {
        Some(node) if node.enrolled.is_none() => Decision::Admit {
            name: name.clone(),
            made: None,
            token: token.id.clone(),
        },
        Some(_) => Decision::Refuse {
            why: format!("{name} is another machine already: an operator must remove it first"),
        },
        None => Decision::Refuse {
            why: format!("{name} is not registered any more"),
        },
    }
}

fn admit_to_pool(asked: &Asked, token: &TokenRecord, known: &Situation) -> Decision {
    let Some(name) = asked.name() else {
        return wait(known, "its host name is no node name".to_owned());
    };
    if !matches(&token.names, name.as_str()) {
        return wait(known, format!("its name does not match `{}`", token.names));
    }
    if known.name_taken {
        return wait(known, "its name is, or was, another machine's".to_owned());
    }
    let made = Made {
        roles: token.roles.clone(),
        labels: token.labels.clone(),
    };
    Decision::Admit {
        name,
        made: Some(made),
        token: token.id.clone(),
    }
}

fn wait(known: &Situation, why: String) -> Decision {
    if known.waiting || known.pending < PENDING {
        Decision::Wait { why }
    } else {
        Decision::Refuse {
            why: "too many machines wait for an operator already".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Registered;

    const NOW: Timestamp = Timestamp::from_secs(1000);

    fn asked() -> Asked {
        Asked {
            token: Some(Digest::of(b"secret")),
            proposed_name: "backend01".into(),
            machine_id: "m1".into(),
            fingerprint: "k1".into(),
            agent_version: "0.1.0".into(),
        }
    }

    fn token(node: Option<&str>) -> TokenRecord {
        TokenRecord {
            id: asked().token_id().expect("a token"),
            hash: Digest::of(b"secret"),
            node: node.map(|name| name.parse().expect("a name")),
            roles: vec!["backend".parse().expect("a name")],
            labels: BTreeMap::new(),
            names: "backend*".into(),
            uses_left: 1,
            expires: Timestamp::from_secs(2000),
        }
    }

    fn node(name: &str, key: Option<(&str, &str)>) -> NodeRecord {
        NodeRecord {
            name: name.parse().expect("a name"),
            roles: vec![],
            labels: BTreeMap::new(),
            address: None,
            seen_address: None,
            enrolled: key.map(|(fingerprint, machine_id)| Registered {
                fingerprint: fingerprint.into(),
                machine_id: machine_id.into(),
                certificate: None,
                expires: NOW,
            }),
            last_seen: None,
            agent_version: None,
            applied: None,
            policies: vec![],
            generation: 0,
            paused: None,
        }
    }

    fn pool() -> Situation {
        Situation {
            token: Some(token(None)),
            ..Situation::default()
        }
    }

    fn check(expected: &str, asked: &Asked, known: &Situation) {
        let told = match decide(asked, known, NOW) {
            Decision::Again(name) => format!("again {name}"),
            Decision::Admit { name, made, .. } => {
                format!(
                    "admit {name}{}",
                    if made.is_some() { " to pool" } else { "" }
                )
            }
            Decision::Wait { why } => format!("wait: {why}"),
            Decision::Refuse { why } => format!("refuse: {why}"),
        };
        assert!(
            told.starts_with(expected),
            "expected `{expected}…`, got `{told}`"
        );
    }

    #[test]
    fn pool_tokens() {
        check("admit backend01 to pool", &asked(), &pool());
        let other = |name: &str| Asked {
            proposed_name: name.into(),
            ..asked()
        };
        check("wait: its name does not", &other("db01"), &pool());
        check("wait: its host name is no", &other("Backend01"), &pool());
        check("wait: its host name is no", &other("backend/../x"), &pool());
        check(
            "wait: its name is, or was",
            &asked(),
            &Situation {
                name_taken: true,
                ..pool()
            },
        );
    }

    #[test]
    fn tokens_that_are_not_valid() {
        let with = |change: fn(&mut TokenRecord)| {
            let mut token = token(None);
            change(&mut token);
            Situation {
                token: Some(token),
                ..Situation::default()
            }
        };
        check("refuse: the token", &asked(), &Situation::default());
        check("refuse: the token", &asked(), &with(|t| t.uses_left = 0));
        check("refuse: the token", &asked(), &with(|t| t.expires = NOW));
        check(
            "refuse: the token",
            &asked(),
            &with(|t| t.hash = Digest::of(b"another")),
        );
    }

    #[test]
    fn node_tokens_let_exactly_one_in() {
        let known = |expected| Situation {
            token: Some(token(Some("db01"))),
            expected,
            ..Situation::default()
        };
        // The proposed name does not matter.
        check("admit db01", &asked(), &known(Some(node("db01", None))));
        check(
            "refuse: db01 is another",
            &asked(),
            &known(Some(node("db01", Some(("k9", "m9"))))),
        );
        check("refuse: db01 is not registered", &asked(), &known(None));
    }

    #[test]
    fn the_same_machine_again_is_the_same_enrolment() {
        let known = |key| Situation {
            holder: Some(node("backend01", Some(key))),
            ..pool()
        };
        check("again backend01", &asked(), &known(("k1", "m1")));
        // Even when its token is used up, or it has none any more.
        let mut used = known(("k1", "m1"));
        used.token = None;
        check(
            "again backend01",
            &Asked {
                token: None,
                ..asked()
            },
            &used,
        );
        check("refuse: this key belongs", &asked(), &known(("k1", "m2")));
    }

    #[test]
    fn removed_keys_stay_out() {
        check(
            "refuse: this machine's key was revoked",
            &asked(),
            &Situation {
                revoked: true,
                ..pool()
            },
        );
    }

    #[test]
    fn strangers_wait_and_the_list_is_bounded() {
        let stranger = Asked {
            token: None,
            ..asked()
        };
        check("wait: it has no token", &stranger, &Situation::default());
        let full = Situation {
            pending: PENDING,
            ..Situation::default()
        };
        check("refuse: too many", &stranger, &full);
        check(
            "wait",
            &stranger,
            &Situation {
                waiting: true,
                ..full
            },
        );
    }
}

//! Whether a cluster exists: yes, no, or cannot tell.
//!
//! The worst that a rollout could do is to found a second cluster beside one that it did not see.
//! So *no* takes an answer from every member, and anything less than *yes* and *no* stops the run.

use std::collections::BTreeMap;

use brine_model::name::{NodeName, RoleName};

/// What one member said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    Yes,
    No,
    /// With why.
    Unknown(String),
}

/// How a role stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Formation {
    Formed,
    Forming,
}

/// One role to which nothing has been applied yet, as its members have it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Role {
    /// All registered members; their answers where the formulas say how to ask, else none.
    pub(crate) answers: BTreeMap<NodeName, Option<Answer>>,
    /// Members that are part of the run.
    pub(crate) targeted: Vec<NodeName>,
}

/// Decides for one role.
///
/// # Errors
/// Why it must not be touched, for people.
pub(crate) fn decide(name: &RoleName, role: &Role) -> Result<Formation, String> {
    let asked: Vec<(&NodeName, &Answer)> = role
        .answers
        .iter()
        .filter_map(|(node, answer)| Some((node, answer.as_ref()?)))
        .collect();
    if asked.is_empty() {
        // Nothing has to be formed together, and nothing was applied yet: that is all there is to know.
        return Ok(Formation::Forming);
    }
    if asked.iter().any(|(_, answer)| **answer == Answer::Yes) {
        return Ok(Formation::Formed);
    }
    let unknown: Vec<String> = asked
        .iter()
        .filter_map(|(node, answer)| match answer {
            Answer::Unknown(why) => Some(format!("{node}: {why}")),
            Answer::Yes | Answer::No => None,
        })
        .collect();
    if !unknown.is_empty() {
        return Err(format!(
            "cannot tell whether the cluster of {name} exists already, so nothing is touched: {}",
            unknown.join("; ")
        ));
    }
    let absent: Vec<&str> = role
        .answers
        .keys()
        .filter(|node| !role.targeted.contains(node))
        .map(NodeName::as_str)
        .collect();
    if !absent.is_empty() {
        return Err(format!(
            "{name} is not formed yet, and forming takes all its members at once: {} not part of this \
             run",
            match absent.as_slice() {
                [one] => format!("{one} is"),
                several => format!("{} are", several.join(", ")),
            }
        ));
    }
    Ok(Formation::Forming)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(answers: &[(&str, &str)], targeted: &[&str], expected: &str) {
        let name = |text: &&str| -> NodeName { text.parse().expect("a name") };
        let answer = |text: &str| match text {
            "yes" => Some(Answer::Yes),
            "no" => Some(Answer::No),
            "" => None,
            why => Some(Answer::Unknown(why.to_owned())),
        };
        let role = Role {
            answers: answers
                .iter()
                .map(|(node, text)| (name(node), answer(text)))
                .collect(),
            targeted: targeted.iter().map(name).collect(),
        };
        let told = match decide(&"db".parse().expect("a name"), &role) {
            Ok(formation) => format!("{formation:?}"),
            Err(why) => why,
        };
        assert!(told.contains(expected), "expected `{expected}`: {told}");
    }

    #[test]
    fn three_answers() {
        let all = ["db01", "db02", "db03"];
        let said = |a, b, c| [("db01", a), ("db02", b), ("db03", c)];
        check(&said("no", "no", "no"), &all, "Forming");
        check(&said("no", "yes", "no"), &all, "Formed");
        check(&said("no", "yes", "silent"), &["db01"], "Formed");
        check(
            &said("no", "no", "did not answer"),
            &all,
            "db03: did not answer",
        );
        check(&said("no", "no", "no"), &all[..2], "db03 is not part");
        check(
            &said("no", "no", "no"),
            &all[..1],
            "db02, db03 are not part",
        );
        check(&said("", "", ""), &all[..1], "Forming");
    }
}

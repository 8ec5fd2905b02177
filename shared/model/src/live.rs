//! Live facts: how members stand at this moment. They never enter a catalog; a run asks for them,
//! and what nobody tells is unknown.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::catalog::Entry;
use crate::expression::{Dialect, Expression, ExpressionError, Lookup, Scope};
use crate::host::{LiveQuestion, ProbeOutcome, ReadHost};
use crate::name::FormulaName;
use crate::resources;
use crate::span::{Span, Spanned};
use crate::value::{Map, Value};

/// One member's answers, by formula: `patroni.role`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct LiveFacts {
    pub facts: BTreeMap<FormulaName, Map>,
    /// Why something could not be told, for people.
    pub failures: Vec<String>,
}

impl LiveFacts {
    /// Asks every source on this machine.
    #[must_use]
    pub fn ask(sources: &[Entry], host: &dyn ReadHost) -> Self {
        let mut told = Self::default();
        for source in sources {
            match ask_one(source, host) {
                Ok(facts) => told
                    .facts
                    .entry(source.formula.clone())
                    .or_default()
                    .extend(facts),
                Err(why) => told.failures.push(format!("{}: {why}", source.id)),
            }
        }
        told
    }

    /// Whether `condition` holds; none where that hangs on what nobody told.
    ///
    /// # Errors
    /// It is no condition: the compiler has checked it, so the two are of different versions.
    pub fn holds(&self, condition: &str) -> Result<Option<bool>, ExpressionError> {
        Expression::parse(condition, Dialect::Formula)?.evaluate_known(self)
    }

    /// The facts that `condition` names, as they are, in words.
    #[must_use]
    pub fn explain(&self, condition: &str) -> String {
        let Ok(expression) = Expression::parse(condition, Dialect::Formula) else {
            return String::new();
        };
        let mut words: Vec<String> = Vec::new();
        for used in expression.paths() {
            let path: Vec<&str> = used.path.iter().map(String::as_str).collect();
            let value = match self.lookup(&path) {
                Lookup::Found(value) => value.to_text().unwrap_or_else(|| value.kind().to_owned()),
                Lookup::Unknown | Lookup::Missing { .. } => "unknown".to_owned(),
            };
            let word = format!("{} is {value}", used.path.join("."));
            if !words.contains(&word) {
                words.push(word);
            }
        }
        words.extend(self.failures.iter().cloned());
        words.join(", ")
    }
}

fn ask_one(source: &Entry, host: &dyn ReadHost) -> Result<Map, String> {
    let kind = resources::kind(source.id.kind())
        .ok_or_else(|| format!("this agent does not know `{}`", source.id.kind()))?;
    let fields = Spanned::from_value(Value::Map(source.fields.clone()), Span::default());
    let resource = kind
        .decode(&source.id, &fields, None)
        .map_err(|error| error.to_string())?;
    resource.live(host).map_err(|error| error.to_string())
}

/// Asks one condition of the machine at hand.
pub fn probe(question: &LiveQuestion, host: &dyn ReadHost) -> ProbeOutcome {
    let told = LiveFacts::ask(&question.sources, host);
    let condition = &question.condition;
    match told.holds(condition) {
        Ok(Some(true)) => Ok(()),
        Ok(_) => Err(format!(
            "`{condition}` does not hold: {}",
            told.explain(condition)
        )),
        Err(error) => Err(error.to_string()),
    }
}

impl Scope for LiveFacts {
    fn lookup(&self, path: &[&str]) -> Lookup {
        let [formula, rest @ ..] = path else {
            return Lookup::Unknown;
        };
        let facts = self
            .facts
            .iter()
            .find(|(name, _)| name.as_str() == *formula);
        let Some((_, facts)) = facts else {
            return Lookup::Unknown;
        };
        match Value::Map(facts.clone()).lookup(rest) {
            Lookup::Missing { .. } => Lookup::Unknown,
            found => found,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> LiveFacts {
        let patroni = Map::from([
            ("role".to_owned(), Value::from("leader")),
            ("shrinking".to_owned(), Value::Bool(false)),
        ]);
        LiveFacts {
            facts: BTreeMap::from([("patroni".parse().unwrap(), patroni)]),
            failures: Vec::new(),
        }
    }

    fn check(condition: &str, expected: Option<bool>) {
        assert_eq!(facts().holds(condition), Ok(expected), "{condition}");
    }

    #[test]
    fn three_values() {
        check("patroni.role = \"leader\"", Some(true));
        check(
            "patroni.role = \"leader\" and patroni.shrinking",
            Some(false),
        );
        check("etcd.formed", None);
        check("patroni.lag < 5", Some(false));
        assert_eq!(
            facts().explain("patroni.role = \"x\" and etcd.formed"),
            "patroni.role is leader, etcd.formed is unknown"
        );
    }
}

//! What `ctl do` may ask for, as people write it.

use brine_wire::operator::ActionRequest;

use crate::error::UsageError;
use crate::show::apply::quoted;

const KNOWN: &str = "built in are `service.restart UNIT`, `reboot` and `exec -- PROGRAM …`; a formula's \
     own are `FORMULA.ACTION`, as in `patroni.restart`";

/// The action of this name, with the words after it and those after `--`.
///
/// # Errors
/// There can be no such action, or it takes other words.
pub fn parse(
    name: &str,
    arguments: &[String],
    argv: &[String],
) -> Result<ActionRequest, UsageError> {
    let wrong = |problem: String, instead: &str| {
        Err(UsageError::Action {
            problem,
            instead: instead.to_owned(),
        })
    };
    match (name, arguments, argv) {
        ("exec", [], [_, ..]) => Ok(ActionRequest::Execute(argv.to_vec())),
        ("exec", ..) => wrong(
            "`exec` takes a program and its arguments after `--`".to_owned(),
            "as in `ctl do role=backend exec -- uname -r`",
        ),
        (_, _, [_, ..]) => wrong(
            format!("`{name}` takes nothing after `--`"),
            "only `exec` does",
        ),
        ("reboot", [], []) => Ok(ActionRequest::Reboot),
        ("service.restart", [unit], []) => Ok(ActionRequest::RestartService(unit.clone())),
        ("service.restart", ..) => wrong(
            "`service.restart` takes one unit".to_owned(),
            "as in `ctl do role=balancer service.restart haproxy`",
        ),
        ("and" | "or" | "not" | "in", ..) => wrong(
            format!("`{name}` belongs to a target of several words"),
            "quote the target: `ctl do 'role=db and not node=db03' reboot`",
        ),
        (_, [word, ..], []) => wrong(
            format!("`{name}` takes nothing more, not `{word}`"),
            "quote a target of several words",
        ),
        _ => match name.split_once('.') {
            Some((formula, action)) if !formula.is_empty() && !action.is_empty() => {
                Ok(ActionRequest::Formula {
                    formula: formula.to_owned(),
                    action: action.to_owned(),
                })
            }
            _ => wrong(format!("there is no action `{name}`"), KNOWN),
        },
    }
}

/// As it would be written again.
#[must_use]
pub fn words(action: &ActionRequest) -> String {
    match action {
        ActionRequest::Formula { formula, action } => format!("{formula}.{action}"),
        ActionRequest::RestartService(unit) => format!("service.restart {}", quoted(unit)),
        ActionRequest::Reboot => "reboot".to_owned(),
        ActionRequest::Execute(argv) => {
            let argv: Vec<_> = argv.iter().map(|word| quoted(word)).collect();
            format!("exec -- {}", argv.join(" "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<ActionRequest, UsageError> {
        let (before, after) = line.split_once(" -- ").unwrap_or((line, ""));
        let words =
            |text: &str| -> Vec<String> { text.split_whitespace().map(str::to_owned).collect() };
        let before = words(before);
        parse(&before[0], &before[1..], &words(after))
    }

    #[test]
    fn written_and_written_again() {
        for line in [
            "patroni.restart",
            "service.restart haproxy",
            "reboot",
            "exec -- uname -r",
            "exec -- cat /etc/hosts",
        ] {
            let action = parsed(line).expect("an action");
            assert_eq!(words(&action), line);
        }
        let odd = ActionRequest::Execute(vec!["echo".to_owned(), "it's".to_owned()]);
        assert_eq!(words(&odd), r"exec -- echo 'it'\''s'");
    }

    #[test]
    fn what_makes_no_sense() {
        let check = |line: &str, problem: &str| {
            let error = parsed(line).expect_err("no action");
            assert!(error.to_string().contains(problem), "{error}");
        };
        check("restart", "there is no action `restart`");
        check(".restart", "there is no action");
        check("exec uname", "after `--`");
        check("exec", "after `--`");
        check("reboot now", "takes nothing more");
        check("reboot -- now", "nothing after `--`");
        check("service.restart", "one unit");
        check("service.restart a b", "one unit");
        check("and node=db03 reboot", "several words");
    }
}

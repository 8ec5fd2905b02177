//! Adjacent packages: one transaction, a result for each.

use super::apply::{ResourceOutcome, Run};
use super::prepare::Item;
use crate::host::Host;
use crate::resource::Change;

/// How many of the next resources are packages; none unless at least one is.
pub(super) fn length(rest: &[Item]) -> Option<usize> {
    let count = rest
        .iter()
        .take_while(|item| item.id.kind() == "package")
        .count();
    (count > 0).then_some(count)
}

/// Plans them all, installs in one go what differs, and judges each by what is there then.
///
/// The first that cannot be planned or is not approved ends the transaction before itself; what
/// stands before it is still done, as it would be one by one.
pub(super) fn apply(items: &[Item], run: &mut Run<'_>) {
    let mut looked: Vec<Result<Vec<Change>, ResourceOutcome>> = Vec::new();
    let mut requests = Vec::new();
    for (ahead, item) in items.iter().enumerate() {
        run.start(item, ahead);
        let result = run.look(item);
        let stop = result.as_ref().is_err_and(|outcome| !outcome.is_good());
        if result.is_ok() {
            requests.extend(item.resource.package_request(&run.host));
        }
        looked.push(result);
        if stop {
            break;
        }
    }
    let refusal = match requests.as_slice() {
        [] => None,
        requests => run.host.packages(requests).err(),
    };
    for (item, result) in items.iter().zip(looked) {
        let outcome = match result {
            Ok(changes) => match (run.check(item, changes), &refusal) {
                // What the package manager said tells more than what is missing now.
                (ResourceOutcome::Failed { changes, .. }, Some(refusal)) => {
                    ResourceOutcome::Failed {
                        message: refusal.to_string(),
                        changes,
                    }
                }
                (outcome, _) => outcome,
            },
            Err(outcome) => outcome,
        };
        run.finish(item, outcome);
    }
}

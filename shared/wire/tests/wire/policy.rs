//! Each request against each principal.

use brine_wire::agent::AgentRequest;
use brine_wire::enroll::EnrollRequest;
use brine_wire::operator::OperatorRequest;
use brine_wire::policy::{Policy, Principal};

use crate::samples::Samples;

#[test]
fn each_request_has_exactly_one_kind_of_principal() {
    check::<EnrollRequest>([true, false, false]);
    check::<AgentRequest>([false, true, false]);
    check::<OperatorRequest>([false, false, true]);
}

/// `admitted`: anyone, a node, an operator.
fn check<T: Samples + Policy>(admitted: [bool; 3]) {
    let name = "db01";
    let principals = [
        Principal::Anyone,
        Principal::Node(name.parse().expect("a name")),
        // The same name on purpose: an operator called like a node is none.
        Principal::Operator(name.parse().expect("a name")),
    ];
    for (request, sample) in T::samples() {
        for (principal, admitted) in principals.iter().zip(admitted) {
            let admits = sample.required().admits(principal);
            assert_eq!(admits, admitted, "{request} by {principal:?}");
        }
    }
}

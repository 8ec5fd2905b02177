//! What people are told: one broken state tree for each kind of mistake, and its findings beside it.
#![allow(clippy::unwrap_used, reason = "a test may panic, helpers included")]

mod support;

macro_rules! broken {
    ($($name:ident)*) => {$(
        #[test]
        fn $name() {
            let found = support::check_fails(include_str!(concat!("broken/", stringify!($name), ".tree")));
            insta::with_settings!({
                snapshot_path => "broken",
                prepend_module_to_snapshot => false,
                omit_expression => true,
            }, {
                insta::assert_snapshot!(stringify!($name), found);
            });
        }
    )*};
}

broken! {
    cluster
    dangling_reference
    data_values
    dependency_cycle
    expression
    loops
    misnamed
    parameter_expressions
    missing_files
    role_cycle
    secret_in_argv
    template_syntax
    template_variable
    two_owners
    unknown_formula_and_role
    unknown_key
    unknown_kind
    unused_uses
    wrong_types
    yaml_duplicate_key
    yaml_features
    yaml_syntax
    yaml_tab
}

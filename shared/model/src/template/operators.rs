//! The helpers that expressions have operators for, and the table of all helpers.

use super::render::is_true;
use crate::expression::functions::{
    ANY, Arguments, Function, FunctionError, function_table, functions,
};
use crate::expression::{equal, order};
use crate::value::Value;

type Result = std::result::Result<Value, FunctionError>;

/// The operators, sorted by subject. They do not stop early: all arguments are evaluated.
#[rustfmt::skip]
static OPERATORS: &[Function] = function_table![
    eq "left, right", 2..=2, eq, "whether both are the same, as `=` in expressions";
    ne "left, right", 2..=2, ne, "whether they differ";
    lt "left, right", 2..=2, lt, "whether the left is less, versions as versions";
    le "left, right", 2..=2, le, "whether the left is less or the same";
    lte "left, right", 2..=2, le, "as `le`, which Handlebars calls so";
    gt "left, right", 2..=2, gt, "whether the left is greater, versions as versions";
    ge "left, right", 2..=2, ge, "whether the left is greater or the same";
    gte "left, right", 2..=2, ge, "as `ge`, which Handlebars calls so";
    and "values…", 2..=ANY, and, "whether all are true, in the sense of `{{#if}}`";
    or "values…", 2..=ANY, or, "whether one is true, in the sense of `{{#if}}`";
    not "value", 1..=1, not, "whether it is not true, in the sense of `{{#if}}`";
];

/// Every helper, for documentation: the operators, and the functions of expressions.
pub fn helpers() -> impl Iterator<Item = &'static Function> {
    OPERATORS.iter().chain(functions())
}

pub(super) fn find(name: &str) -> Option<&'static Function> {
    helpers().find(|function| function.name == name)
}

/// What may have been meant by `name`.
pub(super) fn suggest(name: &str) -> Option<String> {
    let near = crate::diagnostic::did_you_mean(name, helpers().map(|function| function.name))?;
    Some(format!("did you mean `{near}`?"))
}

/// How a template calls it: `{{join list separator?}}`.
pub(super) fn usage(function: &Function) -> String {
    let usage = function.usage.replace(", ", " ").replacen('(', " ", 1);
    format!("{{{{{}}}}}", usage.strip_suffix(')').unwrap_or(&usage))
}

fn eq(arguments: Arguments<'_>) -> Result {
    Ok(equal(arguments.value(0), arguments.value(1)).into())
}

fn ne(arguments: Arguments<'_>) -> Result {
    Ok((!equal(arguments.value(0), arguments.value(1))).into())
}

fn lt(arguments: Arguments<'_>) -> Result {
    ordered(arguments, std::cmp::Ordering::is_lt)
}

fn le(arguments: Arguments<'_>) -> Result {
    ordered(arguments, std::cmp::Ordering::is_le)
}

fn gt(arguments: Arguments<'_>) -> Result {
    ordered(arguments, std::cmp::Ordering::is_gt)
}

fn ge(arguments: Arguments<'_>) -> Result {
    ordered(arguments, std::cmp::Ordering::is_ge)
}

fn ordered(arguments: Arguments<'_>, wanted: fn(std::cmp::Ordering) -> bool) -> Result {
    order(arguments.value(0), arguments.value(1))
        .map(|order| wanted(order).into())
        .map_err(|message| FunctionError::at(0, message))
}

fn and(arguments: Arguments<'_>) -> Result {
    Ok(arguments.0.iter().all(is_true).into())
}

fn or(arguments: Arguments<'_>) -> Result {
    Ok(arguments.0.iter().any(is_true).into())
}

fn not(arguments: Arguments<'_>) -> Result {
    Ok((!is_true(arguments.value(0))).into())
}

//! What the tests can order, a line of JSON each.

use serde::Deserialize;

/// Each holds until the next of its kind.
#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub enum Order {
    /// Whether declarations are refused, whatever they are.
    RefuseDeclarations { yes: bool },
    /// Whether custom jobs are refused, whatever they are.
    RefuseCustomJobs { yes: bool },
    /// No transaction is known any more: each is to be asked for.
    ForgetTransactions,
}

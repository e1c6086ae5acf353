//! Conditions: operators, what is known of context keys, and what is left when not everything is known.
//!
//! A condition is true, false or left: as a [`Formula`] over what an attacker chooses, what the surroundings decide
//! and what was not collected. What is left is kept with the verdict and checked for contradictions.
//!
//! Invariant: [`Formula::can_hold`] says no only if nothing can make the formula hold.

mod formula;
mod keys;
mod operator;
mod satisfy;
mod value;

pub use formula::{Atom, Formula, Literal, Missing, Reason};
pub use keys::{KeyFacts, Source, facts_of};
pub use operator::{Comparison, Operator, Order, Quantifier};

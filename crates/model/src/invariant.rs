/// Says that something which must hold does not: panics in tests and simulation (debug builds),
/// logs ERROR otherwise. The caller then closes its own machine.
///
/// Used through [`invariant!`](crate::invariant).
pub fn violated(what: &str) -> bool {
    debug_assert!(false, "invariant violated: {what}");
    false
}

/// Checks a condition that only our own mistake can break. Evaluates to the condition.
///
/// ```
/// # use tertulia_model::invariant;
/// assert!(invariant!(1 + 1 == 2, "numbers add up"));
/// ```
#[macro_export]
macro_rules! invariant {
    ($condition:expr, $what:literal) => {
        if $condition {
            true
        } else {
            $crate::violated($what)
        }
    };
}

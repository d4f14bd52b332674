//! How many files and sockets this process may have open: each connection and each relay is one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the number as far as the administrator allows, and gives it; None is no limit. Many
/// systems begin with 1,024 and allow far more to those who ask.
pub(crate) fn raise() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    let wanted = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    match setrlimit(Resource::Nofile, wanted) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_allowed_is_had() {
        let allowed = raise();
        let limit = getrlimit(Resource::Nofile);
        assert_eq!((limit.current, limit.maximum), (allowed, allowed));
        assert_eq!(raise(), allowed, "twice is no more");
    }
}

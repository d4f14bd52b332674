//! Tenants: groups of rooms with a path of their own, `/TENANT/ROOM`.

use tertulia_model::{Host, Hosts};

use crate::http::is_reserved_name;

/// A tenant as it stands in paths and in host names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tenant(String);

impl Tenant {
    /// From the decoded first part of a path; None if no host can be named so.
    ///
    /// COMPAT(jitsi-meet): dots become underscores, since a tenant is one label of
    /// `conference.TENANT.domain`.
    pub(crate) fn parse(hosts: &Hosts, part: &str) -> Option<Tenant> {
        let name = part.to_lowercase().replace('.', "_");
        let is_label = !name.is_empty()
            && name.len() <= 63
            && name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        // Refused before dots are replaced: `config.js` is no tenant.
        if !is_label || is_reserved_name(part) {
            return None;
        }
        hosts.name_for(Host::Conference, Some(&name))?;
        Some(Tenant(name))
    }

    /// Letters, digits, hyphens and underscores, in lower case.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use jid::DomainPart;

    use super::*;

    #[test]
    fn one_label_of_a_host_name() {
        let hosts = Hosts::new(DomainPart::new("meet.example").unwrap().into_owned());
        let parse = |part| Tenant::parse(&hosts, part).map(|tenant| tenant.0);
        assert_eq!(parse("School-7").as_deref(), Some("school-7"));
        assert_eq!(parse("school.example").as_deref(), Some("school_example"));
        let long = "a".repeat(64);
        for bad in [
            "", "a b", "a/b", "<script>", "\"", "größe", "libs", ".git", &long,
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}

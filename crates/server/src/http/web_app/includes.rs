//! Server-side includes: the directives of nginx's `ssi` module that Jitsi Meet's pages use.
//!
//! `include` puts a text of the folder, or one of our scripts, in its place; `echo` a variable.
//! Everything else is taken out: nothing is executed.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;
use tracing::debug;

use super::WebApp;
use crate::http::config_js::Site;
use crate::http::tenant::Tenant;

/// What `echo` may say. All of it has passed a grammar that allows no markup.
pub(super) struct Variables(BTreeMap<&'static str, String>);

impl Variables {
    pub(super) fn new(site: &Site<'_>, tenant: Option<&Tenant>) -> Variables {
        let host = site.websocket_base.split_once("://");
        let host = host.map_or("", |(_, host)| host).to_owned();
        let mut variables = BTreeMap::from([("http_host", host)]);
        if let Some(tenant) = tenant {
            variables.insert("subdir", format!("{}/", tenant.as_str()));
            variables.insert("subdomain", format!("{}.", tenant.as_str()));
        }
        Variables(variables)
    }
}

/// That page with everything included. `made` are texts by name that win over the folder's.
/// None if there is no such page. Reads the disk.
pub(super) fn fill(
    app: &WebApp,
    name: &str,
    made: &[(&str, String)],
    variables: &Variables,
) -> Option<String> {
    let filling = Filling {
        app,
        made,
        variables,
    };
    let text = app.text(name)?;
    let mut out = String::new();
    filling.text(name, &text, 0, &mut out);
    Some(out)
}

struct Filling<'a> {
    app: &'a WebApp,
    made: &'a [(&'a str, String)],
    variables: &'a Variables,
}

impl Filling<'_> {
    fn text(&self, name: &str, text: &str, depth: usize, out: &mut String) {
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("<!--#") {
            append(out, before);
            let Some((directive, after)) = after.split_once("-->") else {
                // Unfinished: the rest of the text would be a comment.
                return;
            };
            self.directive(name, directive, depth, out);
            rest = after;
        }
        append(out, rest);
    }

    fn directive(&self, within: &str, directive: &str, depth: usize, out: &mut String) {
        let directive = directive.trim();
        let (command, attributes) = directive
            .split_once(char::is_whitespace)
            .unwrap_or((directive, ""));
        let attribute = |name| attribute(attributes, name);
        match command {
            "include" => {
                if let Some(path) = attribute("virtual").or_else(|| attribute("file")) {
                    self.include(within, path, depth, out);
                }
            }
            "echo" => {
                let value = attribute("var").and_then(|name| self.variables.0.get(name));
                let value = value.map(String::as_str).or_else(|| attribute("default"));
                append(out, value.unwrap_or_default());
            }
            _ => debug!(command, "a directive that is not followed"),
        }
    }

    /// COMPAT(jitsi-meet): most of the files that its page includes are there only where an
    /// administrator has put them.
    fn include(&self, within: &str, path: &str, depth: usize, out: &mut String) {
        let path = path.split(['?', '#']).next().unwrap_or_default();
        let name = match path.strip_prefix('/') {
            Some(name) => name.to_owned(),
            None => match within.rsplit_once('/') {
                Some((folder, _)) => format!("{folder}/{path}"),
                None => path.to_owned(),
            },
        };
        let Ok(name) = percent_decode_str(&name).decode_utf8() else {
            return;
        };
        if let Some((_, made)) = self.made.iter().find(|(own, _)| *own == name) {
            append(out, made);
        } else if let Some(text) = self.app.text(&name) {
            if name.ends_with(".html") && depth < DEPTH_MAX {
                self.text(&name, &text, depth + 1, out);
            } else if !name.ends_with(".html") {
                append(out, &text);
            }
        }
    }
}

fn append(out: &mut String, text: &str) {
    if out.len() + text.len() <= PAGE_BYTES_MAX {
        out.push_str(text);
    }
}

/// The value of `name="value"` or `name='value'`.
fn attribute<'a>(attributes: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = attributes.trim_start();
    while let Some((key, after)) = rest.split_once('=') {
        let after = after.trim_start();
        let quote = after.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        let (value, after) = after.strip_prefix(quote)?.split_once(quote)?;
        if key.trim() == name {
            return Some(value);
        }
        rest = after.trim_start();
    }
    None
}

const DEPTH_MAX: usize = 4;
/// Pages that include themselves many times would grow without end.
const PAGE_BYTES_MAX: usize = 8 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_of_a_directive() {
        let text = r#" virtual="/a b.html" var='x' "#;
        assert_eq!(attribute(text, "virtual"), Some("/a b.html"));
        assert_eq!(attribute(text, "var"), Some("x"));
        assert_eq!(attribute(text, "default"), None);
        for broken in ["virtual", "virtual=", "virtual=a", "virtual=\"a", "='a'"] {
            assert_eq!(attribute(broken, "virtual"), None, "{broken}");
        }
    }
}

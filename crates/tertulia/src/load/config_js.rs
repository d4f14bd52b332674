//! Reads settings out of a Jitsi server's `config.js` without running it.
//!
//! Understands what such files are made of: `var config = { … }` with literals, comments, and
//! texts put together from literals and the variables `subdomain` and `subdir`, and later
//! assignments such as `config.hosts.domain = '…'`. What it does not understand it passes over.

use std::collections::BTreeMap;

/// The settings found, by path (`hosts.domain`).
#[derive(Debug, Default)]
pub(super) struct ConfigJs {
    values: BTreeMap<String, Vec<Token>>,
    tenant: String,
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Text(String),
    Word(String),
    Sign(char),
}

impl ConfigJs {
    /// Reads `source` as the rooms of `tenant` see it; empty for none.
    pub(super) fn parse(source: &str, tenant: &str) -> ConfigJs {
        let tokens = tokens(source);
        let mut config = ConfigJs {
            values: BTreeMap::new(),
            tenant: tenant.to_owned(),
        };
        let mut reader = Reader {
            tokens: &tokens,
            at: 0,
        };
        while let Some(token) = reader.next() {
            if *token == Token::Word("config".to_owned()) {
                config.read_assignment(&mut reader);
            }
        }
        config
    }

    /// The text at `path`.
    pub(super) fn text(&self, path: &str) -> Option<String> {
        let mut text = String::new();
        let mut is_found = false;
        for token in self.values.get(path)? {
            match token {
                Token::Text(part) => {
                    text.push_str(part);
                    is_found = true;
                }
                Token::Word(name) if self.tenant.is_empty() => match name.as_str() {
                    "subdomain" | "subdir" => {}
                    _ => return None,
                },
                Token::Word(name) => match name.as_str() {
                    "subdomain" => text.extend([self.tenant.as_str(), "."]),
                    "subdir" => text.extend([self.tenant.as_str(), "/"]),
                    _ => return None,
                },
                Token::Sign('+') => {}
                Token::Sign(_) => return None,
            }
        }
        is_found.then_some(text)
    }

    /// The truth at `path`.
    pub(super) fn flag(&self, path: &str) -> Option<bool> {
        match self.values.get(path)?.as_slice() {
            [Token::Word(word)] if word == "true" => Some(true),
            [Token::Word(word)] if word == "false" => Some(false),
            _ => None,
        }
    }

    /// What follows `config`: `= {`, `.name.name = value`, or something else.
    fn read_assignment(&mut self, reader: &mut Reader<'_>) {
        let mut path = Vec::new();
        while reader.takes('.') {
            match reader.next() {
                Some(Token::Word(name)) => path.push(name.clone()),
                _ => return,
            }
        }
        if reader.takes('=') {
            self.read_value(reader, &path.join("."), 0);
        }
    }

    fn read_value(&mut self, reader: &mut Reader<'_>, path: &str, depth: usize) {
        if depth < DEPTH_MAX && reader.takes('{') {
            return self.read_object(reader, path, depth);
        }
        let mut value = Vec::new();
        let mut nesting = 0;
        while let Some(token) = reader.peek() {
            match token {
                Token::Sign(',' | ';' | '}') if nesting == 0 => break,
                Token::Sign('(' | '[' | '{') => nesting += 1,
                Token::Sign(')' | ']' | '}') => nesting -= 1,
                _ => {}
            }
            value.push(token.clone());
            reader.at += 1;
            if nesting < 0 {
                return;
            }
        }
        self.values.insert(path.to_owned(), value);
    }

    /// To the brace that closes it.
    fn read_object(&mut self, reader: &mut Reader<'_>, path: &str, depth: usize) {
        loop {
            let name = match reader.next() {
                Some(Token::Word(name) | Token::Text(name)) => name.clone(),
                Some(Token::Sign('}')) | None => return,
                Some(Token::Sign(_)) => continue,
            };
            if reader.takes(':') {
                let path = match path {
                    "" => name,
                    _ => format!("{path}.{name}"),
                };
                self.read_value(reader, &path, depth + 1);
            }
        }
    }
}

struct Reader<'a> {
    tokens: &'a [Token],
    at: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<&'a Token> {
        self.tokens.get(self.at)
    }

    fn next(&mut self) -> Option<&'a Token> {
        let token = self.peek()?;
        self.at += 1;
        Some(token)
    }

    /// Passes over this sign if it comes next.
    fn takes(&mut self, sign: char) -> bool {
        let is_next = self.peek() == Some(&Token::Sign(sign));
        self.at += usize::from(is_next);
        is_next
    }
}

fn tokens(source: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = source.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '/' if rest.peek() == Some(&'/') => {
                rest.by_ref().find(|c| *c == '\n');
            }
            '/' if rest.peek() == Some(&'*') => {
                let mut last = ' ';
                rest.by_ref().skip(1).find(|c| {
                    let is_end = last == '*' && *c == '/';
                    last = *c;
                    is_end
                });
            }
            '"' | '\'' | '`' => {
                let mut text = String::new();
                while let Some(inner) = rest.next().filter(|inner| *inner != c) {
                    match inner {
                        '\\' => text.extend(rest.next()),
                        _ => text.push(inner),
                    }
                }
                tokens.push(Token::Text(text));
            }
            c if is_word(c) => {
                let mut word = String::from(c);
                while let Some(c) = rest.next_if(|c| is_word(*c)) {
                    word.push(c);
                }
                tokens.push(Token::Word(word));
            }
            c if c.is_whitespace() => {}
            c => tokens.push(Token::Sign(c)),
        }
    }
    tokens
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}

const DEPTH_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    const JITSI: &str = r#"
        /* eslint-disable no-unused-vars */
        var subdomain = '';
        if (subdomain) { subdomain = subdomain.substr(0, 3).split('.').join('_') + '.'; }
        // config = { hosts: { domain: 'wrong' } }
        var config = {
            // Connection
            hosts: {
                domain: 'meet.example.org',
                // anonymousdomain: 'guest.example.org',
                muc: 'conference.' + subdomain + 'meet.example.org', /* here */
            },
            bosh: 'https://meet.example.org/' + subdir + 'http-bind',
            'websocket': "wss://meet.example.org/" + subdir + 'xmpp-websocket',
            testing: { p2pTestMode: false, numbers: [ 1, { domain: 'wrong' } ] },
            bridgeChannel: { preferSctp: true },
            flags: { ssrcRewritingEnabled: compute('x', { a: 1 }) },
        };
        config.p2p = { enabled: false };
        config.focusUserJid = 'focus@auth.meet.example.org';
    "#;

    #[test]
    fn a_file_as_jitsi_ships_it() {
        let config = ConfigJs::parse(JITSI, "");
        let text = |path: &str| config.text(path);
        assert_eq!(text("hosts.domain").as_deref(), Some("meet.example.org"));
        let muc = "conference.meet.example.org";
        assert_eq!(text("hosts.muc").as_deref(), Some(muc));
        let websocket = "wss://meet.example.org/xmpp-websocket";
        assert_eq!(text("websocket").as_deref(), Some(websocket));
        assert_eq!(config.flag("bridgeChannel.preferSctp"), Some(true));
        assert_eq!(config.flag("p2p.enabled"), Some(false));
        assert_eq!(config.flag("flags.ssrcRewritingEnabled"), None);
        assert_eq!(text("anonymousdomain"), None);
        let user = "focus@auth.meet.example.org";
        assert_eq!(text("focusUserJid").as_deref(), Some(user));
    }

    /// As Jitsi's containers write it: nothing but assignments, and texts that a web server which
    /// knows no includes leaves as they are.
    #[test]
    fn a_file_of_assignments() {
        let source = r#"
            // Jitsi Meet configuration.
            var config = {};
            config.hosts = {};
            config.hosts.domain = 'meet.jitsi';
            var subdir = '<!--# echo var="subdir" default="" -->';
            if (subdir.startsWith('<!--')) {
                subdir = '';
            }
            config.hosts.muc = 'muc.' + subdomain + 'meet.jitsi';
            config.hosts.anonymousdomain = 'guest.meet.jitsi';
            config.websocket = 'wss://localhost:8443/' + subdir + 'xmpp-websocket';
            config.bridgeChannel = {
                preferSctp: true
            };
            if (!config.hasOwnProperty('flags')) config.flags = {};
            config.flags.ssrcRewritingEnabled = false;
        "#;
        let config = ConfigJs::parse(source, "");
        let text = |path: &str| config.text(path).unwrap_or_default();
        assert_eq!(text("hosts.domain"), "meet.jitsi");
        assert_eq!(text("hosts.muc"), "muc.meet.jitsi");
        assert_eq!(text("hosts.anonymousdomain"), "guest.meet.jitsi");
        assert_eq!(text("websocket"), "wss://localhost:8443/xmpp-websocket");
        assert_eq!(config.flag("bridgeChannel.preferSctp"), Some(true));
        assert_eq!(config.flag("flags.ssrcRewritingEnabled"), Some(false));
    }

    #[test]
    fn rooms_of_a_tenant() {
        let config = ConfigJs::parse(JITSI, "green");
        let muc = config.text("hosts.muc");
        assert_eq!(muc.as_deref(), Some("conference.green.meet.example.org"));
        let websocket = config.text("websocket");
        let expected = "wss://meet.example.org/green/xmpp-websocket";
        assert_eq!(websocket.as_deref(), Some(expected));
    }

    #[test]
    fn a_later_assignment_wins() {
        let source = "var config = {hosts: {domain: 'a'}};\n\
                      config.hosts.domain = 'meet.jitsi';\nconfig.websocket = base + 'x';";
        let config = ConfigJs::parse(source, "");
        assert_eq!(config.text("hosts.domain").as_deref(), Some("meet.jitsi"));
        assert_eq!(config.text("websocket"), None, "an unknown variable");
    }

    #[test]
    fn json_is_understood_and_nonsense_is_survived() {
        let config = ConfigJs::parse(r#"var config = {"hosts": {"domain": "localhost"}};"#, "");
        assert_eq!(config.text("hosts.domain").as_deref(), Some("localhost"));
        for nonsense in [
            "",
            "config",
            "config.=",
            "config = {a: {b: ",
            "config={)}}]",
            "'\\",
        ] {
            assert_eq!(ConfigJs::parse(nonsense, "").text("a.b"), None);
        }
        let deep = format!("config = {}", "{a:".repeat(100_000));
        assert_eq!(ConfigJs::parse(&deep, "").text("a"), None);
    }
}

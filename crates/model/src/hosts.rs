use jid::{BareJid, DomainPart, DomainRef, FullJid, NodePart, ResourcePart};

/// The XMPP names of one Tertulia domain (DESIGN 5). All of them live in one process.
#[derive(Clone, Debug)]
pub struct Hosts {
    main: DomainPart,
}

/// What one of our host names stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Host {
    /// The domain itself: log-in, ping, discovery.
    Main,
    /// Rooms: `conference.`; `muc.` is accepted as well.
    Conference,
    /// The address of conference requests: `focus.`.
    Focus,
    /// Service accounts: `auth.`; the focus' own JID is here.
    Auth,
    /// Lobbies, each beside the room of the same name: `lobby.`.
    Lobby,
    /// Breakout rooms: `breakout.`; the bare name takes the commands around them.
    Breakout,
    /// A meeting feature with an address of its own.
    Service(Service),
}

/// The meeting features that clients talk to at an address of their own. They have no place of
/// their own in this server: a message to one is for the conference its sender is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Service {
    AvModeration,
    ConferenceDuration,
    EndConference,
    FileSharing,
    Metadata,
    Polls,
    SpeakerStats,
    Visitors,
}

impl Service {
    /// All, in the order of their names.
    pub const ALL: [Service; 8] = [
        Service::AvModeration,
        Service::ConferenceDuration,
        Service::EndConference,
        Service::FileSharing,
        Service::Metadata,
        Service::Polls,
        Service::SpeakerStats,
        Service::Visitors,
    ];

    /// The label before the domain.
    pub fn label(self) -> &'static str {
        match self {
            Service::AvModeration => "avmoderation",
            Service::ConferenceDuration => "conferenceduration",
            Service::EndConference => "endconference",
            Service::FileSharing => "filesharing",
            Service::Metadata => "metadata",
            Service::Polls => "polls",
            Service::SpeakerStats => "speakerstats",
            Service::Visitors => "visitors",
        }
    }
}

impl Host {
    /// The label before the domain, by which it is known; empty for the domain itself.
    fn label(self) -> &'static str {
        match self {
            Host::Main => "",
            Host::Conference => "conference",
            Host::Focus => "focus",
            Host::Auth => "auth",
            Host::Lobby => "lobby",
            Host::Breakout => "breakout",
            Host::Service(service) => service.label(),
        }
    }
}

impl Hosts {
    /// The names below `main`.
    pub fn new(main: DomainPart) -> Hosts {
        Hosts { main }
    }

    /// The domain itself.
    pub fn main(&self) -> &DomainRef {
        &self.main
    }

    /// The name of one of our hosts.
    pub fn name(&self, host: Host) -> DomainPart {
        if host == Host::Main {
            return self.main.clone();
        }
        DomainPart::new(&format!("{}.{}", host.label(), self.main))
            .expect("a label before a domain that is short enough is a domain")
            .into_owned()
    }

    /// Which of our hosts `domain` is; None if it is not ours.
    ///
    /// Rooms of a tenant are one label deeper: `conference.tenant.<domain>`.
    pub fn classify(&self, domain: &DomainRef) -> Option<Host> {
        if domain == &*self.main {
            return Some(Host::Main);
        }
        let (label, tenant) = self.labels(domain)?;
        let host = match label {
            "conference" | "muc" => Host::Conference,
            "lobby" => Host::Lobby,
            "breakout" => Host::Breakout,
            _ if tenant.is_some() => return None,
            "focus" => Host::Focus,
            "auth" => Host::Auth,
            _ => {
                let mut services = Service::ALL.into_iter();
                Host::Service(services.find(|service| service.label() == label)?)
            }
        };
        Some(host)
    }

    /// Whether `domain`, a name of that host, is the one by which we know it: no `muc.`.
    pub fn is_usual(&self, host: Host, domain: &DomainRef) -> bool {
        let label = self.labels(domain).map_or("", |(label, _)| label);
        label == host.label()
    }

    /// The tenant in the name of a host of rooms, `conference.tenant.<domain>`.
    pub fn tenant<'a>(&self, domain: &'a DomainRef) -> Option<&'a str> {
        self.labels(domain)?.1
    }

    /// The name of one of the hosts of rooms, for a tenant where there is one.
    pub fn name_for(&self, host: Host, tenant: Option<&str>) -> Option<DomainPart> {
        let name = self.name(host);
        let Some(tenant) = tenant else {
            return Some(name);
        };
        let label = name.as_str().strip_suffix(self.main.as_str())?;
        let name = format!("{label}{tenant}.{}", self.main);
        DomainPart::new(&name).ok().map(|name| name.into_owned())
    }

    /// The label of a host of ours and the tenant behind it.
    fn labels<'a>(&self, domain: &'a DomainRef) -> Option<(&'a str, Option<&'a str>)> {
        let labels = domain
            .as_str()
            .strip_suffix(self.main.as_str())?
            .strip_suffix('.')?;
        match labels.split_once('.') {
            None => Some((labels, None)),
            Some((label, tenant)) if !tenant.is_empty() && !tenant.contains('.') => {
                Some((label, Some(tenant)))
            }
            Some(_) => None,
        }
    }

    /// The focus' bare real JID, `focus@auth.<domain>`: what clients are told to trust.
    pub fn focus_user(&self) -> BareJid {
        let node = NodePart::new("focus").expect("a literal node");
        BareJid::from_parts(Some(&node), &self.name(Host::Auth))
    }

    /// The focus' full real JID, shown in its presence.
    pub fn focus_full(&self) -> FullJid {
        self.focus_user()
            .with_resource(&ResourcePart::new("focus").expect("a literal resource"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_their_meaning() {
        let domain = |text: &str| DomainPart::new(text).unwrap().into_owned();
        let hosts = Hosts::new(domain("meet.example"));
        let rooms = [Host::Conference, Host::Lobby, Host::Breakout];
        let services = Service::ALL.map(Host::Service);
        let others = [Host::Main, Host::Focus, Host::Auth];
        for host in others.into_iter().chain(rooms).chain(services) {
            assert_eq!(hosts.classify(&hosts.name(host)), Some(host));
            assert!(hosts.is_usual(host, &hosts.name(host)));
        }
        for host in rooms {
            let name = hosts.name_for(host, Some("school")).unwrap();
            assert_eq!(hosts.classify(&name), Some(host));
            assert!(hosts.is_usual(host, &name));
            assert_eq!(hosts.tenant(&name), Some("school"));
            assert_eq!(hosts.tenant(&hosts.name(host)), None);
        }
        assert_eq!(
            hosts.classify(&domain("muc.meet.example")),
            Some(Host::Conference)
        );
        assert!(!hosts.is_usual(Host::Conference, &domain("muc.meet.example")));
        for foreign in [
            "example",
            "xmeet.example",
            "x.meet.example",
            "conference.other.example",
            "focus.school.meet.example",
            "conference.a.b.meet.example",
        ] {
            assert_eq!(hosts.classify(&domain(foreign)), None, "{foreign}");
        }
        assert_eq!(
            hosts.focus_full().to_string(),
            "focus@auth.meet.example/focus"
        );
    }
}

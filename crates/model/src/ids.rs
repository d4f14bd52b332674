use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use jid::{BareJid, FullJid, ResourceRef};
use siphasher::sip::SipHasher24;

/// A client session on this node. Never reused while the process lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// A bridge-channel WebSocket on this node. Never reused while the process lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelId(pub u64);

/// A question from outside the XMPP world (an HTTP conference request) that waits for its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// One allocation of an endpoint on a bridge. A re-invited participant keeps its [`EndpointId`]
/// and gets a new `AllocationId`, so that late events of the old one can be told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AllocationId(pub u64);

/// One instance of a meeting: the room's meeting id (a UUID), new each time a room comes to life.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConferenceId(Arc<str>);

impl ConferenceId {
    /// Takes the id as it is; it is opaque to all but the one who drew it.
    pub fn new(id: &str) -> ConferenceId {
        ConferenceId(id.into())
    }

    /// The id as it appears in URLs and in `muc#roominfo_meetingId`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ConferenceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Keyed hash of a Jitsi client's `machine-uid`; carries a guest's rights (DESIGN 10).
///
/// As text it has 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceId(pub u128);

/// A text that is not a device id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a device id has 32 hexadecimal digits")]
pub struct InvalidDeviceId;

impl DeviceId {
    /// The id of the device that calls itself `machine_uid`: under the same key the same, also in
    /// a later process. Each half of the key gives one half of the id (SipHash-2-4).
    pub fn of(key: &[u8; 32], machine_uid: &str) -> DeviceId {
        let (first, second) = key.split_at(16);
        let half = |key: &[u8]| {
            let key = key.try_into().expect("half of 32 bytes");
            SipHasher24::new_with_key(key).hash(machine_uid.as_bytes())
        };
        DeviceId(u128::from(half(first)) << 64 | u128::from(half(second)))
    }
}

impl FromStr for DeviceId {
    type Err = InvalidDeviceId;

    fn from_str(text: &str) -> Result<DeviceId, InvalidDeviceId> {
        let is_hex = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
        let id = u128::from_str_radix(text, 16).ok().filter(|_| is_hex);
        id.map(DeviceId).ok_or(InvalidDeviceId)
    }
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// The address of a room, `room@conference.domain`, prepared (case-folded) as XMPP wants it.
/// A clone shares the text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoomJid(Arc<BareJid>);

impl RoomJid {
    /// None if the JID has no local part.
    pub fn new(jid: BareJid) -> Option<RoomJid> {
        jid.node().is_some().then(|| RoomJid(Arc::new(jid)))
    }

    /// The room's own bare JID.
    pub fn bare(&self) -> &BareJid {
        &self.0
    }

    /// The name before the `@`.
    pub fn name(&self) -> &str {
        self.0.node().map_or("", |node| node.as_str())
    }

    /// The address of one occupant in this room.
    pub fn occupant(&self, nick: &ResourceRef) -> FullJid {
        self.0.with_resource(nick)
    }
}

impl fmt::Display for RoomJid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A participant as the bridge sees it. Equal to the occupant's nick (Jitsi's rule).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointId(Arc<str>);

/// A nick that cannot name an endpoint: empty or longer than 256 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an endpoint id has 1 to 256 bytes")]
pub struct InvalidEndpointId;

impl EndpointId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for EndpointId {
    type Err = InvalidEndpointId;

    fn from_str(text: &str) -> Result<EndpointId, InvalidEndpointId> {
        if text.is_empty() || text.len() > 256 {
            Err(InvalidEndpointId)
        } else {
            Ok(EndpointId(text.into()))
        }
    }
}

impl fmt::Display for EndpointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Borrow<str> for EndpointId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// The name of something an endpoint sends, `1a2b3c4d-a0` or `1a2b3c4d-v1`.
///
/// Grammar `^(.+)-[av]\d+$` (lib-jitsi-meet `service/RTC/SignalingLayer.ts`), at most 300 bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceName(Arc<str>);

/// A text that is not a source name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a source name is <endpoint>-a<number> or <endpoint>-v<number>, at most 300 bytes")]
pub struct InvalidSourceName;

impl SourceName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The endpoint part, before the last `-`.
    pub fn owner(&self) -> &str {
        self.0.rsplit_once('-').map_or("", |(owner, _)| owner)
    }
}

impl FromStr for SourceName {
    type Err = InvalidSourceName;

    fn from_str(text: &str) -> Result<SourceName, InvalidSourceName> {
        let (owner, index) = text.rsplit_once('-').ok_or(InvalidSourceName)?;
        let digits = index.strip_prefix(['a', 'v']).ok_or(InvalidSourceName)?;
        let is_name = !owner.is_empty()
            && text.len() <= 300
            && !digits.is_empty()
            && digits.bytes().all(|b| b.is_ascii_digit());
        if is_name {
            Ok(SourceName(text.into()))
        } else {
            Err(InvalidSourceName)
        }
    }
}

impl fmt::Display for SourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Borrow<str> for SourceName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rights are stored under these ids: another hash would take them from everybody.
    #[test]
    fn device_ids_stay_what_they_are() {
        let key = std::array::from_fn(|n| u8::try_from(n).unwrap());
        let id = DeviceId::of(&key, "0a1b2c3d");
        assert_eq!(id.to_string(), "2eb05dddcf023e3fbfed1917da555518");
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_ne!(DeviceId::of(&key, "0a1b2c3e"), id);
        assert_ne!(DeviceId::of(&[7; 32], "0a1b2c3d"), id);
        for bad in [
            "",
            "1",
            "+0000000000000000000000000000001",
            "g0000000000000000000000000000000",
        ] {
            assert_eq!(bad.parse::<DeviceId>(), Err(InvalidDeviceId), "{bad}");
        }
    }

    #[test]
    fn source_names() {
        for good in ["1a2b3c4d-a0", "1a2b3c4d-v12", "with-dash-v0"] {
            assert_eq!(good.parse::<SourceName>().unwrap().as_str(), good);
        }
        assert_eq!(
            "with-dash-v0".parse::<SourceName>().unwrap().owner(),
            "with-dash"
        );
        for bad in ["", "-a0", "x", "x-", "x-a", "x-b0", "x-a0.en", "x-v0x"] {
            assert!(bad.parse::<SourceName>().is_err(), "{bad}");
        }
    }
}

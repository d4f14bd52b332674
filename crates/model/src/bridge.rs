//! The words between focus and bridge: what Colibri is in Jitsi.
//!
//! One conference's focus speaks to one conference on the bridge. Commands are carried out in
//! order; events may come late, which is what [`AllocationId`] is for.

use std::net::SocketAddr;

use crate::{AllocationId, EndpointId, Fingerprint, Source, Ssrc};

/// From the focus (or the conference) to its conference on a bridge.
#[derive(Clone, Debug)]
pub enum BridgeCommand {
    /// Makes a transport for an endpoint; answered by `Allocated` or `AllocationFailed`.
    /// An endpoint of the same id is expired first. The first allocation creates the conference.
    Allocate {
        endpoint: EndpointId,
        allocation: AllocationId,
        offer: EndpointOffer,
    },
    /// The client's half of the transport, from its session-accept.
    Connect {
        allocation: AllocationId,
        transport: RemoteTransport,
    },
    /// The whole list of what the endpoint sends; replaces the former list.
    SetSources {
        allocation: AllocationId,
        sources: Vec<Source>,
    },
    /// What of the endpoint's media and messages may be forwarded.
    SetMayForward {
        allocation: AllocationId,
        may: MayForward,
    },
    /// Makes new ICE credentials for an endpoint whose DTLS and SRTP stay; answered by
    /// `IceRestarted`, or by `Disconnected` if that is not possible any more.
    RestartIce { allocation: AllocationId },
    /// The client's new credentials after `RestartIce`.
    ReconnectIce {
        allocation: AllocationId,
        ice: IceCredentials,
        candidates: Vec<SocketAddr>,
    },
    /// The client's signalling socket was lost or came back; shortens the wait before it is
    /// reported as inactive.
    SetPaused {
        allocation: AllocationId,
        is_paused: bool,
    },
    /// Ends one endpoint. Never answered.
    Expire { allocation: AllocationId },
    /// Ends the conference on the bridge with all that is left. Never answered.
    Close,
}

/// From the bridge to the focus of that conference.
#[derive(Clone, Debug)]
pub enum BridgeEvent {
    Allocated {
        allocation: AllocationId,
        transport: LocalTransport,
    },
    AllocationFailed {
        allocation: AllocationId,
        reason: AllocationFailure,
    },
    /// The endpoint's half of the restarted transport.
    IceRestarted {
        allocation: AllocationId,
        ice: IceCredentials,
        candidates: Vec<Candidate>,
    },
    /// ICE and DTLS are up.
    Connected { allocation: AllocationId },
    /// The transport is dead for good (ICE failed, DTLS refused, the endpoint's machine broke).
    Disconnected {
        allocation: AllocationId,
        reason: DisconnectReason,
    },
    /// Media or consent stopped arriving from the endpoint, or came back.
    Activity {
        allocation: AllocationId,
        is_active: bool,
    },
    /// Who speaks now; None after silence.
    DominantSpeaker { endpoint: Option<EndpointId> },
    /// The worker lost this conference (overload or an error of ours). Everyone must be invited
    /// again.
    Failed,
}

/// What the focus found out about a client before it invites it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndpointOffer {
    /// Retransmission payload types are offered (disco `urn:ietf:rfc:4588`).
    pub has_rtx: bool,
    /// Opus with redundancy is offered (disco `http://jitsi.org/opus-red`).
    pub has_red: bool,
    /// Transport-wide congestion control is offered (disco `http://jitsi.org/tcc`).
    pub has_transport_cc: bool,
    /// A data channel is offered (disco `urn:xmpp:jingle:transports:dtls-sctp:1`).
    pub has_data_channel: bool,
    /// The client takes others' media on SSRCs of the bridge and learns from the bridge channel
    /// whose they are (disco `http://jitsi.org/ssrc-rewriting-1`).
    pub has_ssrc_rewriting: bool,
    /// The client is on loopback: it is given loopback candidates too.
    pub is_loopback: bool,
}

/// What of an endpoint's media and messages reaches others: its occupant's rights, as far as they
/// concern the bridge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MayForward {
    pub audio: bool,
    /// Video sources that show a camera.
    pub camera: bool,
    /// Video sources that show a screen.
    pub screen: bool,
    /// `EndpointMessage` on the bridge channel.
    pub messages: bool,
}

impl MayForward {
    /// Everything, unless something else was decided.
    pub const ALL: MayForward = MayForward {
        audio: true,
        camera: true,
        screen: true,
        messages: true,
    };
}

/// ICE user name fragment and password (RFC 8445).
#[derive(Clone, PartialEq, Eq)]
pub struct IceCredentials {
    pub ufrag: String,
    pub pwd: String,
}

impl std::fmt::Debug for IceCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "IceCredentials({})", self.ufrag)
    }
}

/// A UDP candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    pub address: SocketAddr,
    pub kind: CandidateKind,
    pub priority: u32,
}

/// Where a candidate comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CandidateKind {
    Host,
    /// Mapped by a NAT; `base` is the local address behind it.
    ServerReflexive {
        base: SocketAddr,
    },
}

/// Our half of a transport, as it goes into session-initiate.
#[derive(Clone, Debug)]
pub struct LocalTransport {
    pub ice: IceCredentials,
    pub fingerprint: Fingerprint,
    pub candidates: Vec<Candidate>,
    /// The password of this endpoint's bridge-channel WebSocket; constant for its life.
    pub channel_password: String,
    /// SSRCs the bridge uses itself towards this endpoint (`jvb-a0`, `jvb-v0`).
    pub feedback: FeedbackSources,
}

/// The SSRCs of RTCP that the bridge sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeedbackSources {
    pub audio: Ssrc,
    pub video: Ssrc,
}

/// The client's half of a transport.
#[derive(Clone, Debug)]
pub struct RemoteTransport {
    pub ice: IceCredentials,
    pub fingerprint: Fingerprint,
    /// The client's DTLS role: `active` means that we are the server.
    pub is_active: bool,
    /// Usually empty: clients are learnt as peer-reflexive.
    pub candidates: Vec<SocketAddr>,
    /// `initial-last-n` of the accept.
    pub initial_last_n: Option<i32>,
}

/// Why an allocation failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AllocationFailure {
    /// The bridge's limit of endpoints or conferences is reached.
    LimitReached,
    /// The worker is gone or overloaded.
    Unavailable,
}

/// Why a transport died.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DisconnectReason {
    /// No connectivity check succeeded in time, or consent was lost.
    IceFailed,
    /// The certificate did not match the signalled fingerprint, or the handshake failed.
    DtlsFailed,
    /// Our own machine failed; logged with ERROR.
    Internal,
}

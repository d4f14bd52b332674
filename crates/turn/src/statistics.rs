/// What happened so far. All are counts since the start, except where said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Allocations that live now.
    pub allocations: u64,
    pub allocations_total: u64,
    pub packets_to_peers: u64,
    pub bytes_to_peers: u64,
    pub packets_to_clients: u64,
    pub bytes_to_clients: u64,
    /// Answers to STUN Binding requests.
    pub bindings: u64,
    /// Requests without valid credentials; the first one of each client is among them.
    pub unauthorized: u64,
    /// Peers that may not be relayed to.
    pub forbidden: u64,
    /// Allocations refused by a quota or for want of a port.
    pub over_quota: u64,
    /// Requests of networks that sent too many.
    pub over_rate: u64,
    /// Messages that are neither STUN nor ChannelData, or broken.
    pub malformed: u64,
    /// Packets without a permission, a channel or an allocation.
    pub unrelated: u64,
    /// Packets over an allocation's bitrate.
    pub over_bitrate: u64,
}

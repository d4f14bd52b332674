//! The NAT at the far end of an access: UDP flows have other ports outside, and can get new ones.
//! Addresses stay, and TCP passes as it is.

use std::collections::HashSet;

/// Ports outside are those inside with some bits turned over: no table is needed to find the way
/// back, and no two flows meet.
#[derive(Default)]
pub(crate) struct Nat {
    turned: u16,
    /// Ports outside from which something left since the last change; nothing else comes in.
    open: HashSet<u16>,
}

impl Nat {
    /// Gives every flow another port outside. What comes to the old ones is lost.
    pub(crate) fn rebind(&mut self) {
        // Never the highest bit: a port that clients use stays one.
        self.turned = (self.turned + STEP) & 0x7fff;
        self.open.clear();
    }

    /// A packet leaves: its source port becomes the one outside.
    pub(crate) fn leave(&mut self, packet: &mut [u8]) {
        if let Some(port) = change_port(packet, Side::Source, self.turned) {
            self.open.insert(port ^ self.turned);
        }
    }

    /// A packet comes: its destination port becomes the one inside. False when no flow has that
    /// port outside.
    pub(crate) fn enter(&mut self, packet: &mut [u8]) -> bool {
        match peek_port(packet, Side::Destination) {
            Some(port) if !self.open.contains(&port) => false,
            Some(_) => change_port(packet, Side::Destination, self.turned).is_some(),
            None => true,
        }
    }
}

#[derive(Clone, Copy)]
enum Side {
    Source = 0,
    Destination = 2,
}

/// Where the UDP header of an IPv4 packet begins; None for anything else.
fn udp_header(packet: &[u8]) -> Option<usize> {
    let first = *packet.first()?;
    let is_udp = first >> 4 == 4 && *packet.get(9)? == 17;
    // Later fragments have no UDP header (RFC 791 3.1).
    let fragment = u16::from_be_bytes([*packet.get(6)?, *packet.get(7)?]) & 0x1fff;
    let length = usize::from(first & 15) * 4;
    (is_udp && fragment == 0 && packet.len() >= length + 8).then_some(length)
}

fn peek_port(packet: &[u8], side: Side) -> Option<u16> {
    let at = udp_header(packet)? + side as usize;
    read(packet, at)
}

/// Turns over bits of a port and mends the checksum; gives the port as it was.
fn change_port(packet: &mut [u8], side: Side, turned: u16) -> Option<u16> {
    let header = udp_header(packet)?;
    let at = header + side as usize;
    let port = read(packet, at)?;
    let checksum = read(packet, header + 6)?;
    write(packet, at, port ^ turned)?;
    // Zero means that there is none (RFC 768).
    if checksum != 0 {
        write(
            packet,
            header + 6,
            mend_checksum(checksum, port, port ^ turned),
        )?;
    }
    Some(port)
}

/// RFC 1624, equation 3.
fn mend_checksum(checksum: u16, old: u16, new: u16) -> u16 {
    let mut sum = u32::from(!checksum) + u32::from(!old) + u32::from(new);
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    match !(sum as u16) {
        0 => 0xffff,
        mended => mended,
    }
}

fn read(packet: &[u8], at: usize) -> Option<u16> {
    let bytes = packet.get(at..at + 2)?;
    Some(u16::from_be_bytes(bytes.try_into().ok()?))
}

fn write(packet: &mut [u8], at: usize, value: u16) -> Option<()> {
    packet
        .get_mut(at..at + 2)?
        .copy_from_slice(&value.to_be_bytes());
    Some(())
}

const STEP: u16 = 0x0155;

#[cfg(test)]
mod tests {
    use super::*;

    /// From 10.0.0.2 to 10.0.0.1.
    fn packet(protocol: u8, from: u16, to: u16) -> Vec<u8> {
        let mut packet = vec![0x45, 0, 0, 32, 0, 0, 0, 0, 64, protocol, 0, 0];
        packet.extend_from_slice(&[10, 0, 0, 2, 10, 0, 0, 1]);
        for word in [from, to, 12, 0] {
            packet.extend_from_slice(&word.to_be_bytes());
        }
        packet.extend_from_slice(&[1, 2, 3, 4]);
        let checksum = checksum(&packet);
        write(&mut packet, 26, checksum).unwrap();
        packet
    }

    /// RFC 768: over addresses, protocol, length, and the datagram.
    fn checksum(packet: &[u8]) -> u16 {
        let words = packet[12..].chunks(2);
        let sum: u32 = words
            .map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])))
            .sum();
        let sum = sum + 17 + 12;
        !((sum & 0xffff) + (sum >> 16)) as u16
    }

    #[test]
    fn flows_get_new_ports_and_keep_their_checksums() {
        let mut nat = Nat::default();
        let mut seen = HashSet::new();
        for _ in 0..20 {
            nat.rebind();
            for inside in [40_000, 40_001, 55_555] {
                let mut out = packet(17, inside, 10_000);
                nat.leave(&mut out);
                let outside = peek_port(&out, Side::Source).unwrap();
                assert!(seen.insert((inside, outside)), "a new port each time");
                let stated = read(&out, 26).unwrap();
                write(&mut out, 26, 0).unwrap();
                assert_eq!(checksum(&out), stated);

                let mut back = packet(17, 10_000, outside);
                assert!(nat.enter(&mut back));
                assert_eq!(back, packet(17, 10_000, inside));
            }
        }
    }

    #[test]
    fn old_ports_are_closed_after_a_change() {
        let mut nat = Nat::default();
        assert!(!nat.enter(&mut packet(17, 10_000, 40_000)));
        nat.leave(&mut packet(17, 40_000, 10_000));
        assert!(nat.enter(&mut packet(17, 10_000, 40_000)));
        nat.rebind();
        assert!(!nat.enter(&mut packet(17, 10_000, 40_000)));
    }

    #[test]
    fn what_is_not_udp_passes_as_it_is() {
        let mut nat = Nat::default();
        nat.rebind();
        let tcp = packet(6, 40_000, 443);
        let mut fragment = packet(17, 40_000, 10_000);
        fragment[7] = 1;
        let six = [[0x60].as_slice(), &[0; 60]].concat();
        for foreign in [tcp, fragment, six, vec![], vec![0x45; 19]] {
            let mut passed = foreign.clone();
            nat.leave(&mut passed);
            assert!(nat.enter(&mut passed));
            assert_eq!(passed, foreign);
        }
    }
}

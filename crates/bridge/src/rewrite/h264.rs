//! H.264 (RFC 6184) without a dependency descriptor: one layer, and where its key frames begin.

/// Whether a key frame begins with this packet: encoders send their parameters before each. They
/// come alone, aggregated (STAP-A) or in fragments (FU-A); RFC 6184, 5.2.
pub(crate) fn is_keyframe_start(payload: &[u8]) -> bool {
    match payload {
        [unit, fragment, ..] if unit & TYPE == FRAGMENT => {
            fragment & FRAGMENT_START != 0 && fragment & TYPE == SEQUENCE_PARAMETERS
        }
        [unit, rest @ ..] if unit & TYPE == AGGREGATION => has_parameters(rest),
        [unit, ..] => unit & TYPE == SEQUENCE_PARAMETERS,
        [] => false,
    }
}

/// Looks through units that are each led by their length.
fn has_parameters(mut units: &[u8]) -> bool {
    while let [high, low, rest @ ..] = units {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let Some((unit, next)) = rest.split_at_checked(length) else {
            return false;
        };
        if unit
            .first()
            .is_some_and(|first| first & TYPE == SEQUENCE_PARAMETERS)
        {
            return true;
        }
        units = next;
    }
    false
}

const TYPE: u8 = 0x1f;
const AGGREGATION: u8 = 24;
const FRAGMENT: u8 = 28;
const FRAGMENT_START: u8 = 0x80;
/// NAL unit type of a sequence parameter set.
const SEQUENCE_PARAMETERS: u8 = 7;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_frames_begin_with_their_parameters() {
        let aggregated = [24, 0, 2, 0x67, 1, 0, 2, 0x68, 1];
        for (payload, expected) in [
            (&[0x67, 1, 2][..], true),
            (&aggregated, true),
            (&[24, 0, 2, 0x68, 1], false),
            (&[0x7c, 0x85, 1], false),
            (&[0x41, 1], false),
            (&[0x7c, 0x87, 1], true),
            (&[0x7c, 0x07, 1], false),
            (&[0x7c], false),
            (&[24, 0xff, 0xff, 0x67], false),
            (&[], false),
        ] {
            assert_eq!(is_keyframe_start(payload), expected, "{payload:?}");
        }
    }
}

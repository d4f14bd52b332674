//! H.264 (RFC 6184) without a dependency descriptor: one layer, and where its key frames begin.

use str0m::format::detect_h264_nalu;

/// Whether a key frame begins with this packet: encoders send their parameters before each.
pub(crate) fn is_keyframe_start(payload: &[u8]) -> bool {
    detect_h264_nalu(payload, SEQUENCE_PARAMETERS)
}

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
            (&[24, 0xff, 0xff, 0x67], false),
            (&[], false),
        ] {
            assert_eq!(is_keyframe_start(payload), expected, "{payload:?}");
        }
    }
}

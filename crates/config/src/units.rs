//! Durations and sizes as people write them.

use std::time::Duration;

/// `"500 ms"`, `"60 s"`, `"10 min"`, `"1 h"`.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = split(text)?;
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1_000,
        "min" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    Some(Duration::from_millis(number.checked_mul(milliseconds)?))
}

/// `"64 KiB"`, `"4 MiB"`, `"800 B"`.
pub(crate) fn bytes(text: &str) -> Option<u64> {
    let (number, unit) = split(text)?;
    let factor = match unit {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(factor)
}

fn split(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let number = text.strip_suffix(unit)?;
    Some((number.parse().ok()?, unit.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_their_units_only() {
        assert_eq!(duration("60 s"), Some(Duration::from_secs(60)));
        assert_eq!(duration("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(duration("10 min"), Some(Duration::from_secs(600)));
        assert_eq!(bytes("64 KiB"), Some(65_536));
        for bad in [
            "",
            "60",
            "s",
            "-1 s",
            "1.5 s",
            "1 fortnight",
            "99999999999999999999 s",
        ] {
            assert_eq!(duration(bad), None, "{bad}");
        }
        assert_eq!(bytes("64 kB"), None);
        assert_eq!(bytes("99999999999 GiB"), None);
    }
}

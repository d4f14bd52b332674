use std::fmt::{self, Write as _};
use std::time::Duration;

use super::{Findings, NETWORKS, Trial};

/// Findings as they are read by people: cells of text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Of these meetings.
    pub fn new(found: &[(Trial, Findings)]) -> Table {
        let rows = found.iter().map(|(trial, findings)| cells(trial, findings));
        Table {
            rows: rows.collect(),
        }
    }

    /// The table in a document; empty if there is none.
    pub fn read(document: &str) -> Table {
        let lines = document.lines().skip_while(|line| !line.starts_with("|--"));
        let lines = lines.skip(1).take_while(|line| line.starts_with('|'));
        let row = |line: &str| {
            let cells = line.trim_matches('|').split('|');
            cells.map(|cell| cell.trim().to_owned()).collect()
        };
        Table {
            rows: lines.map(row).collect(),
        }
    }

    /// The same, with what another table says where it says something else.
    pub fn compared_with(&self, before: &Table) -> Table {
        let compare = |row: &Vec<String>| {
            let old = before.rows.iter().find(|old| old.get(..2) == row.get(..2));
            let cells = row.iter().enumerate().map(|(place, cell)| {
                match old
                    .and_then(|old| old.get(place))
                    .filter(|old| *old != cell)
                {
                    Some(old) => format!("{cell} (was {old})"),
                    None => cell.clone(),
                }
            });
            cells.collect()
        };
        Table {
            rows: self.rows.iter().map(compare).collect(),
        }
    }

    /// The whole document `docs/quality.md`.
    pub fn document(&self) -> String {
        let mut text = INTRODUCTION.to_owned();
        for network in &NETWORKS {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "- **{}**: {}", network.name, network.description);
        }
        let _ = write!(text, "\n## The table\n\n{self}");
        text
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| {} |", COLUMNS.join(" | "))?;
        writeln!(f, "|{}", "---|".repeat(COLUMNS.len()))?;
        for row in &self.rows {
            writeln!(f, "| {} |", row.join(" | "))?;
        }
        Ok(())
    }
}

fn cells(trial: &Trial, findings: &Findings) -> Vec<String> {
    let Findings {
        first_picture,
        first_picture_worst,
        freezes_per_minute,
        freeze_longest,
        wanted_share,
        unsent_share,
        repeats_share,
        kilobits_per_second,
        stage_back_after,
        back_after,
        audio_gaps_per_minute,
        audio_gap_longest,
    } = findings;
    let maybe = |time: &Option<Duration>| time.map_or("never".to_owned(), seconds);
    let percent = |share: &f64| format!("{:.0} %", share * 100.0);
    vec![
        trial.network.name.to_owned(),
        trial.people.to_string(),
        maybe(first_picture),
        maybe(first_picture_worst),
        format!("{freezes_per_minute:.1}"),
        seconds(*freeze_longest),
        percent(wanted_share),
        percent(unsent_share),
        percent(repeats_share),
        format!("{kilobits_per_second:.0}"),
        maybe(stage_back_after),
        maybe(back_after),
        format!("{audio_gaps_per_minute:.1}"),
        format!("{} ms", audio_gap_longest.as_millis()),
    ]
}

fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

const COLUMNS: [&str; 14] = [
    "network",
    "people",
    "first picture",
    "slowest",
    "freezes/min",
    "longest",
    "as wanted",
    "not sent",
    "repeats",
    "kbit/s",
    "stage back",
    "all back",
    "audio gaps/min",
    "longest gap",
];

const INTRODUCTION: &str = "\
# Call quality

How a call looks and sounds on bad networks. `make quality` simulates one meeting for each line of
the table, on virtual time and always with the same draws, with real DTLS, SRTP, congestion control
and SCTP, and prints the table with what this one says where that is something else;
`make quality WRITE=1` writes it here.

Everybody sends VP8 in three simulcast encodings (180, 360 and 720 lines at 150, 500 and 2,000
kbit/s, thirty frames a second, key frames of some eight times the usual size), a microphone, and
takes others' media by SSRC rewriting over a data channel. Everybody shows one other person in 720
lines and all the others in 180; in the middle of the 40 measured seconds another person comes on
stage. The networks are those of all people at once. Cameras do not adapt themselves as a browser's
encoder would, so a bottleneck is one on the way down. Receivers ask five times at most for what
they miss, which browsers do more often, and for a key frame after 800 ms: the longest freezes on
Wi-Fi are such waits. VP9 with spatial layers is not in the table yet: the simulator's cameras make
VP8 only.

- **first picture**: from the moment at which both had opened the page to the first picture; of
  half of all pairs, and of the slowest
- **freezes/min**, **longest**: a picture stood still for more than 200 ms while the bridge said
  that it sends it; per picture and minute
- **as wanted**: share of time in which a picture moved and had the lines that its receiver wants;
  it begins with the estimation of bandwidth
- **not sent**: share of time in which the bridge said that it does not send a picture, because
  there is no bandwidth for it
- **repeats**: share of the bytes towards receivers that were sent again, or were padding: of that
  only short probes have any
- **kbit/s**: of RTP towards each person
- **stage back**, **all back**: after two seconds without any network, from its return until the
  picture on stage moves again, and until all do that moved before
- **audio gaps/min**, **longest gap**: 60 ms or more of a speaker's voice that could not be played

The networks, from each person to the server and back:

";

#[cfg(test)]
mod tests {
    use super::*;

    fn table(freezes_per_minute: f64) -> Table {
        let findings = Findings {
            first_picture: Some(Duration::from_millis(340)),
            first_picture_worst: None,
            freezes_per_minute,
            freeze_longest: Duration::from_millis(1_230),
            wanted_share: 0.954,
            unsent_share: 0.0,
            repeats_share: 0.02,
            kilobits_per_second: 812.4,
            stage_back_after: Some(Duration::from_secs(1)),
            back_after: Some(Duration::from_secs(2)),
            audio_gaps_per_minute: 0.25,
            audio_gap_longest: Duration::from_millis(80),
        };
        Table::new(&[(Trial::all()[1], findings)])
    }

    #[test]
    fn a_document_is_read_again() {
        let written = table(0.5);
        assert_eq!(Table::read(&written.document()), written);
        assert!(
            written
                .to_string()
                .contains("| good | 5 | 0.34 s | never | 0.5 | 1.23 s | 95 % |")
        );
        assert_eq!(Table::read("nothing"), Table::default());
    }

    #[test]
    fn only_what_differs_is_said_twice() {
        let same = table(0.5).compared_with(&table(0.5));
        assert_eq!(same, table(0.5));
        let differs = table(0.5).compared_with(&table(0.7)).to_string();
        assert!(
            differs.contains("| never | 0.5 (was 0.7) | 1.23 s |"),
            "{differs}"
        );
        assert_eq!(table(0.5).compared_with(&Table::default()), table(0.5));
    }
}

use std::fmt::{self, Write as _};
use std::time::Duration;

use tertulia_client::media::CameraCodec;

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
            let old = before.rows.iter().find(|old| is_of_same(old, row));
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

    /// The same, with the lines of another table for meetings that this one has not; in the order
    /// of all.
    pub fn completed_by(&self, other: &Table) -> Table {
        let all = Trial::all();
        let row = |trial: &Trial| {
            let names = names(trial);
            let mut rows = self.rows.iter().chain(&other.rows);
            rows.find(|row| is_of_same(row, &names)).cloned()
        };
        Table {
            rows: all.iter().filter_map(row).collect(),
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
        flaws: _,
    } = findings;
    let maybe = |time: &Option<Duration>| time.map_or("never".to_owned(), seconds);
    let percent = |share: &f64| format!("{:.0} %", share * 100.0);
    let measured = vec![
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
    ];
    names(trial).into_iter().chain(measured).collect()
}

/// The cells that say which meeting it is.
fn names(trial: &Trial) -> [String; NAMES] {
    let codec = match trial.codec {
        CameraCodec::Vp8 => "VP8",
        CameraCodec::Vp9 => "VP9",
    };
    [
        trial.network.name.to_owned(),
        trial.people.to_string(),
        codec.to_owned(),
    ]
}

fn is_of_same(row: &[String], other: &[String]) -> bool {
    row.get(..NAMES) == other.get(..NAMES)
}

/// How many cells say which meeting it is.
const NAMES: usize = 3;

fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

const COLUMNS: [&str; 15] = [
    "network",
    "people",
    "codec",
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

Everybody sends a camera, a microphone, and takes others' media by SSRC rewriting over a data
channel. The camera is VP8 in three simulcast encodings (180, 360 and 720 lines at 150, 500 and
2,000 kbit/s, thirty frames a second, key frames of some eight times the usual size), or VP9 with
three spatial layers of the same sizes, as Chromium sends it in Jitsi (L3T3_KEY): one stream of
2,000 kbit/s, in which a layer refers to the one below at key frames only, so that 720 lines cost
their viewer 1,500 and 360 lines 350 kbit/s. Everybody shows one other person in 720 lines and all
the others in 180; in the middle of the 40 measured seconds another person comes on stage. The
networks are those of all people at once. Cameras do not adapt themselves as a browser's encoder
would, so a bottleneck is one on the way down. Receivers ask five times at most for what they miss,
which browsers do more often, and for a key frame after 800 ms: the longest freezes where most
is lost are such waits. The SCTP of these clients sends what began it again after 3 s, then 6 and
12, where browsers' does after one: the slowest first pictures on lossy networks are such waits. A
picture is there when all that it refers to was: lower spatial layers of its key picture, and
earlier frames of its own layer.

What only DTLS draws, keys and signatures, is not the same in each run and may be a byte longer. On
links that lose much or are narrow that moves a longest freeze, a slowest first picture or a recovery
by seconds: small differences say nothing there.

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
        table_of(2, freezes_per_minute)
    }

    fn table_of(place: usize, freezes_per_minute: f64) -> Table {
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
            flaws: Vec::new(),
        };
        Table::new(&[(Trial::all()[place], findings)])
    }

    #[test]
    fn a_document_is_read_again() {
        let written = table(0.5);
        assert_eq!(Table::read(&written.document()), written);
        assert!(
            written
                .to_string()
                .contains("| good | 5 | VP8 | 0.34 s | never | 0.5 | 1.23 s | 95 % |")
        );
        assert_eq!(Table::read("nothing"), Table::default());
    }

    #[test]
    fn lines_that_were_not_run_again_stay() {
        let others: Vec<Table> = [0, 3].map(|place| table_of(place, 0.7)).into();
        let before = others[0].completed_by(&others[1]);
        assert_eq!(before.rows.len(), 2);
        let after = table(0.5).completed_by(&before);
        assert_eq!(after.rows[0], others[0].rows[0]);
        assert_eq!(after.rows[1], table(0.5).rows[0]);
        assert_eq!(after.rows[2], others[1].rows[0]);
        let again = table(0.7).completed_by(&after);
        assert_eq!(again.rows[1], table(0.7).rows[0]);
        assert_eq!(again.rows.len(), 3);
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

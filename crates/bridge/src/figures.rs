//! How the conferences and endpoints of a worker are at one moment. Computed when asked, by
//! walking over them; the packet path keeps nothing for it but counters.

use std::ops::AddAssign;
use std::time::Duration;

use crate::Statistics;

/// A reading of one worker, or the sum of several.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    /// Counters and sizes.
    pub statistics: Statistics,
    /// One for each conference.
    pub conferences: Vec<ConferenceFigures>,
    /// Endpoints that may send neither media nor messages.
    pub visitors: u64,
    /// Endpoints from which sound arrives.
    pub sending_audio: u64,
    /// Endpoints from which video arrives.
    pub sending_video: u64,
    /// Endpoints that send nothing while somebody else in their conference does.
    pub receive_only: u64,
    /// Endpoints that lose more than a tenth of what they are sent.
    pub high_outgoing_loss: u64,
    /// Endpoints that are granted more than their estimate.
    pub oversending: u64,
    /// Endpoints to which a source that they ask for is not sent for want of bandwidth.
    pub suspended: u64,
    /// Video sources on their way to a receiver.
    pub video_streams: u64,
    /// Seconds, of endpoints where it is known.
    pub round_trip: Mean,
    /// Share of packets from endpoints that were lost, 0 to 1.
    pub incoming_loss: Mean,
    /// Share of packets to endpoints that were lost, 0 to 1.
    pub outgoing_loss: Mean,
}

/// One conference of a [`Figures`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConferenceFigures {
    /// Endpoints in it.
    pub endpoints: u64,
    /// Those from which sound arrives.
    pub audio_senders: u64,
    /// Those from which video arrives.
    pub video_senders: u64,
    /// Those from which anything arrives.
    pub senders: u64,
}

impl ConferenceFigures {
    /// Nobody sends anything: all are silent, or they talk directly.
    pub fn is_inactive(&self) -> bool {
        self.senders == 0
    }
}

/// A mean that can be added to another one.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Mean {
    sum: f64,
    count: u64,
}

impl Mean {
    /// Takes in one more value.
    pub fn add(&mut self, value: f64) {
        if value.is_finite() {
            self.sum += value;
            self.count += 1;
        }
    }

    /// The same for a duration, in seconds.
    pub fn add_duration(&mut self, value: Duration) {
        self.add(value.as_secs_f64());
    }

    /// The mean; 0 of nothing.
    pub fn value(&self) -> f64 {
        if self.count == 0 {
            0.0
        } else {
            self.sum / self.count as f64
        }
    }

    /// The mean of both together.
    pub fn with(self, other: Mean) -> Mean {
        Mean {
            sum: self.sum + other.sum,
            count: self.count + other.count,
        }
    }
}

impl AddAssign for Figures {
    fn add_assign(&mut self, other: Figures) {
        self.statistics += other.statistics;
        self.conferences.extend(other.conferences);
        self.visitors += other.visitors;
        self.sending_audio += other.sending_audio;
        self.sending_video += other.sending_video;
        self.receive_only += other.receive_only;
        self.high_outgoing_loss += other.high_outgoing_loss;
        self.oversending += other.oversending;
        self.suspended += other.suspended;
        self.video_streams += other.video_streams;
        self.round_trip = self.round_trip.with(other.round_trip);
        self.incoming_loss = self.incoming_loss.with(other.incoming_loss);
        self.outgoing_loss = self.outgoing_loss.with(other.outgoing_loss);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_add_up_and_means_stay_means() {
        let with = |endpoints, loss: &[f64]| {
            let mut figures = Figures {
                conferences: vec![ConferenceFigures {
                    endpoints,
                    ..ConferenceFigures::default()
                }],
                sending_audio: endpoints,
                ..Figures::default()
            };
            for loss in loss {
                figures.incoming_loss.add(*loss);
            }
            figures
        };
        let mut sum = with(2, &[0.1, f64::NAN]);
        sum += with(3, &[0.2, 0.3]);
        sum += Figures::default();
        assert_eq!(sum.conferences.len(), 2);
        assert_eq!(sum.sending_audio, 5);
        assert!((sum.incoming_loss.value() - 0.2).abs() < 1e-9);
        assert_eq!(Mean::default().value(), 0.0);
    }
}

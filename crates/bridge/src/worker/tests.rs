use std::time::Duration;

use super::*;
use crate::testing::config;
use tertulia_model::bridge::DisconnectReason;

const OFFER: EndpointOffer = EndpointOffer {
    has_rtx: true,
    has_red: false,
    has_transport_cc: true,
    has_data_channel: true,
    has_ssrc_rewriting: false,
    is_loopback: false,
};

#[test]
fn a_transport_that_panics_takes_nobody_with_it() {
    let now = Now {
        mono: Instant::now(),
        wall: Default::default(),
    };
    let mut worker = Worker::new(Arc::new(config()), 0, [1; 32], now);
    let id = ConferenceId::new("c");
    let mut batch = Batch::default();
    for (number, name) in [(1, "a"), (2, "b")] {
        let command = BridgeCommand::Allocate {
            endpoint: name.parse().unwrap(),
            allocation: AllocationId(number),
            offer: OFFER,
        };
        worker.handle_command(now, &id, command, &mut batch);
    }
    while worker.poll_output().is_some() {}
    let conference = worker.conferences[0].as_mut().unwrap();
    conference.seat_mut(0).unwrap().endpoint.panic_on_purpose();
    conference.mark(0);
    worker.mark(0);
    worker.finish_batch(now, &mut batch);
    let event = worker.poll_output();
    assert!(
        matches!(
            event,
            Some(Output::Event {
                event: BridgeEvent::Activity {
                    allocation: AllocationId(1),
                    is_active: false,
                },
                ..
            })
        ),
        "{event:?}"
    );
    let event = worker.poll_output();
    assert!(
        matches!(
            event,
            Some(Output::Event {
                event: BridgeEvent::Disconnected {
                    allocation: AllocationId(1),
                    reason: DisconnectReason::Internal,
                },
                ..
            })
        ),
        "{event:?}"
    );
    assert!(
        worker.poll_output().is_none(),
        "the other one does not notice"
    );
    let later = now.later(Duration::from_secs(1));
    worker.handle_timeout(later, &mut batch);
    let statistics = worker.statistics();
    assert_eq!((statistics.endpoint_failures, statistics.endpoints), (1, 2));
    worker.handle_command(later, &id, BridgeCommand::Close, &mut batch);
    assert_eq!(
        (worker.statistics().endpoints, worker.statistics().timers),
        (0, 0)
    );
}

//! XMPP streams as state machines, in the WebSocket framing of RFC 7395: frames in, stanzas out.
//!
//! [`Negotiation`] is the receiving side until there is a session, [`ClientSession`] the session
//! that outlives its sockets, [`Initiator`] the other end of both. [`Bosh`] makes one socket of
//! many HTTP requests. Every frame passes one bounded
//! reader (`reader`), which refuses what is too big, too deep or no restricted XML before any
//! tree is built.
//!
//! Does not know: sockets, rooms, who may talk to whom.

mod bosh;
mod config;
mod error;
mod framing;
mod initiator;
mod negotiation;
mod queue;
mod rate;
mod reader;
mod sealer;
mod session;

pub use bosh::{Bosh, BoshCondition, BoshOutput};
pub use config::{BoshConfig, Config, Limits, Rate};
pub use error::{StreamCondition, StreamError};
pub use framing::close_code;
pub use initiator::{Failure, Initiator, InitiatorConfig, InitiatorOutput};
pub use negotiation::{Negotiation, NegotiationOutput};
pub use reader::{Body, Frame, read_body, read_frame};
pub use sealer::{Restored, Sealer};
pub use session::{ClientSession, Closing, SessionOutput};

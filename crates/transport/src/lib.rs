//! One client's media transport, without I/O and without a clock of its own: ICE, DTLS and SCTP by
//! libraries; RTP, RTCP, SRTP, retransmission, bandwidth estimation and pacing of our own.

pub mod bandwidth;
pub mod batch;
pub mod datagram;
pub mod link;
pub mod pacer;
pub mod packet;
pub mod payload;
pub mod receive;
pub mod rtcp;
pub mod send;
pub mod session;
pub mod srtp;

//! Renumbering, per codec: what a receiver sees is one stream without seams.

pub(crate) mod plain;
pub(crate) mod vp8;

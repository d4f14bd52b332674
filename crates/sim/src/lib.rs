//! (see Cargo.toml)

pub mod node;

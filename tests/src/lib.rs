//! What the tests of the whole share: the runner of conversation scripts, and the functions that
//! fuzzing calls.

pub mod conversation;
pub mod fuzz;
mod fuzz_media;
mod fuzz_turn;

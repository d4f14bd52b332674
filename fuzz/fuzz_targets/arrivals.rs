#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tertulia_tests::fuzz::arrivals(data));

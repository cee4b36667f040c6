//! `weft_fuzz::bgp_session` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| weft_fuzz::bgp_session(bytes));

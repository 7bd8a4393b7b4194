#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tacho_fuzz::checkpoint(data));

//! libFuzzer's entry: the target is the one that `TOKENSMITH_FUZZ_TARGET` names.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tokensmith_fuzz::{TARGETS, Target};

static TARGET: LazyLock<&Target> = LazyLock::new(|| {
    let name = std::env::var("TOKENSMITH_FUZZ_TARGET").unwrap_or_default();
    let target = TARGETS.iter().find(|target| target.name == name);
    target.unwrap_or_else(|| panic!("TOKENSMITH_FUZZ_TARGET must name a target, not {name:?}"))
});

fuzz_target!(|bytes: &[u8]| (TARGET.play)(bytes));

//! The programs behind scripts/ refuse what they do not know. That they are named here also makes cargo build them
//! together with the tests (scripts/build).

use std::process::Command;

#[test]
fn words_that_a_program_does_not_know_are_refused_with_its_usage() {
    let refused = [
        (env!("CARGO_BIN_EXE_attack"), ["seven"].as_slice()),
        (env!("CARGO_BIN_EXE_faults"), &["kill", "--rounds", "many"]),
    ];
    for (program, words) in refused {
        let answer = Command::new(program).args(words).output().unwrap();
        let said = String::from_utf8(answer.stderr).unwrap();
        assert!(!answer.status.success(), "{program} took {words:?}");
        assert!(said.contains("usage: scripts/"), "{program} said: {said}");
    }
}

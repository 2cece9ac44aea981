//! The kept inputs of every target are played again, so that what was found once stays mended.

use std::{fs, path::Path};

use tokensmith_fuzz::TARGETS;

#[test]
fn every_kept_input_keeps_the_rules() {
    for target in TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("corpus")
            .join(target.name);
        let inputs =
            fs::read_dir(&folder).unwrap_or_else(|_| panic!("{} has no corpus", target.name));
        let mut played = 0;
        for input in inputs {
            let path = input.expect("a folder").path();
            let bytes = fs::read(&path).expect("a file");
            println!("{}", path.display());
            (target.play)(&bytes);
            played += 1;
        }
        assert!(played > 0, "{} has no corpus", target.name);
    }
}

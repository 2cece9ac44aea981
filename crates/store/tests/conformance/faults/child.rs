//! Another process that uses the store, for tests that kill it or starve it: this test binary, run again.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
};

/// Tells the child what to do: a role, a space, a path.
const ROLE: &str = "TOKENSMITH_CONFORMANCE_CHILD";

/// Not a test of its own: the body of the other process.
#[test]
#[ignore = "the other process of the fault tests, which start it"]
fn other_process() {
    let role = std::env::var(ROLE).expect("started by a fault test");
    let (role, path) = role.split_once(' ').expect("a role and a path");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    match role {
        "rotates" => runtime.block_on(super::killed::rotate_for_ever(Path::new(path))),
        "starts" => runtime.block_on(super::killed::start_for_ever(Path::new(path))),
        "fills" => runtime.block_on(super::disk_full::fill_the_disk(Path::new(path))),
        other => panic!("no such role: {other}"),
    }
}

/// The words that start the other process in a role.
pub(crate) fn command(role: &str, path: &Path) -> (Command, String) {
    let program = std::env::current_exe().expect("this program");
    let mut command = Command::new(program);
    let name = "faults::child::other_process";
    command.args([
        name,
        "--exact",
        "--ignored",
        "--nocapture",
        "--test-threads=1",
    ]);
    let role = format!("{role} {}", path.display());
    command.env(ROLE, &role).stdout(Stdio::piped());
    (command, role)
}

/// A line from the other process to the test, unbuffered.
pub(crate) fn tell(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "\ntold {line}")
        .and_then(|()| out.flush())
        .expect("somebody listens");
}

/// Starts the other process and receives the lines it tells.
pub(crate) fn start(mut command: Command) -> (Child, Receiver<String>) {
    let mut child = command.spawn().expect("the other process starts");
    let out = BufReader::new(child.stdout.take().expect("its output is piped"));
    let (send, lines) = channel();
    std::thread::spawn(move || {
        let told = out.lines().map_while(Result::ok);
        for line in told.filter_map(|line| line.strip_prefix("told ").map(str::to_owned)) {
            let _ = send.send(line);
        }
    });
    (child, lines)
}

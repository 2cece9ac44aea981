//! What every command does to its own process: file modes, warm-up, the runtime, signals.

use std::{future::Future, io, time::Duration};

use rustix::{fs::Mode, process::umask};
use tokensmith_server::entropy::Entropy;
use tokio::{
    runtime::{Builder, Runtime},
    signal::unix::{SignalKind, signal},
};

/// Files made from now on can be read by nobody else: database, log of writes, keys, backups.
pub(crate) fn create_files_for_the_owner_alone() {
    umask(Mode::RWXG | Mode::RWXO);
}

/// Memory comes in pages of 4 KiB, not in huge ones of 2 MiB: measured, 14 MiB resident at rest instead of 23.
pub(crate) fn refuse_huge_pages() {
    // A kernel without huge pages refuses, and there is nothing to refuse then.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}

/// The allocator gives freed memory back only when more is freed a while later, which an idle server never does: 19 MiB
/// of every password hash would stay. So now and then something is freed.
pub(crate) async fn give_back_freed_memory() {
    const SPAN: Duration = Duration::from_secs(5);
    const BYTES: usize = 1 << 20;
    loop {
        tokio::time::sleep(SPAN).await;
        drop(std::hint::black_box(Vec::<u8>::with_capacity(BYTES)));
    }
}

/// The cryptographic library's generator gathers entropy at its first use, for some 20 ms: done on a thread of its
/// own beside opening the store.
pub(crate) fn warm_up_entropy() {
    std::thread::spawn(|| Entropy::default().bytes::<1>());
}

/// A runtime with one worker for each core the process may use.
pub(crate) fn runtime() -> io::Result<Runtime> {
    Builder::new_multi_thread()
        .enable_all()
        .thread_name("tokensmith")
        .build()
}

/// Ready at the first SIGTERM or SIGINT. A second one ends the process at once.
///
/// # Errors
/// When the signals cannot be listened to.
pub(crate) fn stop_signal() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let (mut terminate, mut interrupt) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    Ok(async move {
        either(&mut terminate, &mut interrupt).await;
        tracing::info!("stopping: requests at work are finished; a second signal stops at once");
        tokio::spawn(async move {
            either(&mut terminate, &mut interrupt).await;
            std::process::exit(130);
        });
    })
}

async fn either(one: &mut tokio::signal::unix::Signal, other: &mut tokio::signal::unix::Signal) {
    tokio::select! { _ = one.recv() => {}, _ = other.recv() => {} }
}

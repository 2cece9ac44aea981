//! The least a program could do: the bounds that the server and the libraries are measured against.

pub(crate) mod engine;
pub(crate) mod fixed;
pub(crate) mod rotation;
pub(crate) mod token;

use std::net::Ipv4Addr;

use anyhow::Result;
use axum::Router;

/// Serves on 127.0.0.1 until the process ends.
fn serve(port: u16, router: Router) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let listener = axum::serve::ListenerExt::tap_io(listener, |stream| {
            let _ = stream.set_nodelay(true);
        });
        axum::serve(listener, router).await?;
        Ok(())
    })
}

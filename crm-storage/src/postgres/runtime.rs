//! What drives the connections: the host's runtime, or a thread of the store's own, so that the store can
//! be used under any executor.

use std::sync::Arc;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio_util::context::TokioContext;

use crate::error::StorageError;

/// A runtime to drive connections on.
#[derive(Debug)]
pub(super) struct Driver {
    handle: Handle,
    /// Dropped with the store, it tells the thread to end.
    _thread: Option<oneshot::Sender<()>>,
}

impl Driver {
    /// On the host's runtime, or in a thread of its own. The thread ends by itself once the driver is
    /// dropped; nobody waits for it, so the driver can be dropped anywhere.
    pub(super) fn start(host: Option<Handle>) -> Result<Arc<Self>, StorageError> {
        if let Some(handle) = host {
            return Ok(Arc::new(Driver { handle, _thread: None }));
        }
        let failed = |error: std::io::Error| StorageError::Open {
            reason: "no thread for the connections could be started".into(),
            source: Some(Box::new(error)),
        };
        let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let handle = runtime.handle().clone();
        let (alive, gone) = oneshot::channel();
        let drive = move || {
            // It answers when the sender is dropped.
            let _ended = runtime.block_on(gone);
            runtime.shutdown_background();
        };
        std::thread::Builder::new().name("crm-postgres".into()).spawn(drive).map_err(failed)?;
        Ok(Arc::new(Driver { handle, _thread: Some(alive) }))
    }

    /// Runs a future under whatever executor polls it.
    pub(super) fn run<F: Future>(&self, future: F) -> TokioContext<F> {
        TokioContext::new(future, self.handle.clone())
    }
}

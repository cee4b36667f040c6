//! The agent put together: the loop on a thread of its own, the disk on another, the stream for whoever has a runtime.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rand_chacha::ChaCha8Rng;
use tokio::sync::{mpsc, oneshot, watch};

use crate::persist::{Mailbox, Persist};
use crate::reconciler::Reconciler;
use crate::runner::{Board, EXPLANATIONS_MAX, Host, INPUTS_MAX, Input, Outlets, Runner, Wake};
use crate::stream::{Inlets, Peers, Stream};

/// What an agent is told besides its host.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Whom to talk to, and as whom.
    pub peers: Peers,
    /// Where the last intent is kept.
    pub state_directory: PathBuf,
    /// How often the host is looked at in full.
    pub resync_interval: Duration,
    /// Spreads the agents that come back to a controller at the same time.
    pub jitter: ChaCha8Rng,
}

/// A running agent. It heals its host whether or not its [`Stream`] is run.
pub struct Agent {
    inputs: mpsc::Sender<Input>,
    wake: Wake,
    mailbox: Arc<Mailbox>,
    loop_ended: oneshot::Receiver<()>,
    disk_ended: oneshot::Receiver<()>,
    loop_thread: JoinHandle<()>,
    disk_thread: JoinHandle<()>,
}

impl Agent {
    /// Takes up the last intent and begins to lead the host to it. `wake` ends the host's wait.
    ///
    /// # Errors
    /// When the state directory cannot be used or no thread can be started.
    pub fn start<H: Host + Send + 'static>(
        host: H,
        wake: Wake,
        settings: Settings,
    ) -> Result<(Self, Stream)> {
        let (file, last) = Persist::open(&settings.state_directory, &settings.peers.host)?;
        let mut reconciler = Reconciler::new(host);
        if let Some(last) = last {
            tracing::info!(version = %last.version, fragments = last.fragments.len(), "the last intent is back");
            reconciler.restore(last);
        }
        let (inputs, taken) = mpsc::channel(INPUTS_MAX);
        let (explanations, explained) = mpsc::channel(EXPLANATIONS_MAX);
        let (board, board_seen) = watch::channel(Board::default());
        let (persisted, persisted_seen) = watch::channel(0);
        let mailbox = Arc::new(Mailbox::default());

        let outlets = Outlets { board, explanations, mailbox: Arc::clone(&mailbox) };
        let runner = Runner::new(reconciler, taken, outlets, settings.resync_interval);
        let (loop_thread, loop_ended) = spawn("driver", move || runner.run())?;
        let post = Arc::clone(&mailbox);
        let (disk_thread, disk_ended) = spawn("persist", move || post.persist(&file, &persisted))?;

        let inlets = Inlets {
            inputs: inputs.clone(),
            wake: Arc::clone(&wake),
            board: board_seen,
            explanations: explained,
            persisted: persisted_seen,
        };
        let stream = Stream::new(settings.peers, inlets, settings.jitter);
        Ok((Self { inputs, wake, mailbox, loop_ended, disk_ended, loop_thread, disk_thread }, stream))
    }

    /// Waits until a part of it has ended by itself, which none should.
    pub async fn ended(&mut self) {
        tokio::select! {
            _ = &mut self.loop_ended => {}
            _ = &mut self.disk_ended => {}
        }
    }

    /// Ends the agent after its current turn, with everything persisted and the host as it is. The stream has to be dropped
    /// before.
    ///
    /// # Errors
    /// When a thread had panicked.
    pub fn stop(self) -> Result<()> {
        // If the way is full, the loop is about to empty it; if it is closed, the loop has ended.
        while let Err(mpsc::error::TrySendError::Full(_)) = self.inputs.try_send(Input::Stop) {
            (self.wake)();
            thread::yield_now();
        }
        (self.wake)();
        let loop_ended = self.loop_thread.join();
        self.mailbox.close();
        let disk_ended = self.disk_thread.join();
        ensure!(loop_ended.is_ok() && disk_ended.is_ok(), "a part of the agent panicked");
        Ok(())
    }
}

/// A thread, and what tells of its end, whatever that is: nobody sends, it is the drop that tells.
fn spawn(
    name: &str,
    work: impl FnOnce() + Send + 'static,
) -> Result<(JoinHandle<()>, oneshot::Receiver<()>)> {
    let (gone, ended) = oneshot::channel::<()>();
    let work = move || {
        let _gone = gone;
        work();
    };
    let thread = thread::Builder::new().name(name.to_owned()).spawn(work);
    Ok((thread.context("a thread cannot be started")?, ended))
}

//! Sleeping until the kernel or another thread has something to say.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};

/// Wakes a driver's thread from any other. Clones wake the same one.
#[derive(Clone, Debug)]
pub struct Waker(Arc<EventFd>);

/// Why a driver's thread woke up. It says *that* something happened, never *what*.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// The kernel told of a change.
    Kernel,
    /// A [`Waker`] was fired.
    Waker,
    /// Nothing happened for as long as was to be waited.
    Timeout,
}

impl Waker {
    /// A waker that nobody has fired yet.
    ///
    /// # Errors
    /// When no descriptor is to be had.
    pub fn new() -> io::Result<Self> {
        let flags = EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC;
        Ok(Self(Arc::new(EventFd::from_value_and_flags(0, flags)?)))
    }

    /// Wakes the one who waits, now or the next time it does.
    pub fn wake(&self) {
        // It fails only when it was fired 2^64 - 2 times without anybody's waking: then it is fired already.
        let _full = self.0.write(1);
    }
}

/// Sleeps until one of `sources` can be read, `waker` was fired or the time is over.
pub(crate) fn wait<'a>(
    sources: impl Iterator<Item = BorrowedFd<'a>>,
    timeout: Duration,
    waker: &'a Waker,
) -> io::Result<Woken> {
    let mut descriptors = vec![PollFd::new(waker.0.as_fd(), PollFlags::POLLIN)];
    descriptors.extend(sources.map(|source| PollFd::new(source, PollFlags::POLLIN)));
    // Rounded up: a wait that ends before its time would be one that spins.
    let milliseconds = timeout.as_nanos().div_ceil(1_000_000);
    let timeout = PollTimeout::try_from(milliseconds).unwrap_or(PollTimeout::MAX);
    match poll(&mut descriptors, timeout) {
        Ok(0) | Err(nix::errno::Errno::EINTR) => return Ok(Woken::Timeout),
        Ok(_) => {}
        Err(error) => return Err(error.into()),
    }
    if descriptors[0].any().unwrap_or(true) {
        let _nothing = waker.0.read();
        return Ok(Woken::Waker);
    }
    Ok(Woken::Kernel)
}

/// Which of `sources` can be read now.
pub(crate) fn readable<'a>(sources: impl Iterator<Item = BorrowedFd<'a>>) -> io::Result<Vec<bool>> {
    let mut descriptors: Vec<PollFd<'_>> =
        sources.map(|source| PollFd::new(source, PollFlags::POLLIN)).collect();
    poll(&mut descriptors, PollTimeout::ZERO)?;
    Ok(descriptors.iter().map(|descriptor| descriptor.any().unwrap_or(true)).collect())
}

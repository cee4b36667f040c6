//! How much memory this process has asked for, by the count of its allocator.

use std::alloc::{GlobalAlloc, Layout};
use std::sync::atomic::{AtomicBool, AtomicIsize, Ordering};

use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

static IS_COUNTING: AtomicBool = AtomicBool::new(false);
static ALLOCATED: AtomicIsize = AtomicIsize::new(0);
static LARGEST: AtomicIsize = AtomicIsize::new(0);

/// The controller's allocator, and a count of what it has given while the count was wanted.
struct Counting;

#[expect(unsafe_code, reason = "a global allocator is an unsafe trait")]
// SAFETY: every call is passed on to that allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        unsafe { MiMalloc.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        unsafe { MiMalloc.dealloc(pointer, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        unsafe { MiMalloc.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size as isize - layout.size() as isize);
        unsafe { MiMalloc.realloc(pointer, layout, size) }
    }
}

fn count(change: isize) {
    if IS_COUNTING.load(Ordering::Relaxed) {
        let now = ALLOCATED.fetch_add(change, Ordering::Relaxed) + change;
        if change > 0 {
            LARGEST.fetch_max(now, Ordering::Relaxed);
        }
    }
}

/// Counts from now on, from nothing.
pub(crate) fn begin() {
    ALLOCATED.store(0, Ordering::Relaxed);
    LARGEST.store(0, Ordering::Relaxed);
    IS_COUNTING.store(true, Ordering::Relaxed);
}

/// Ends the count; answers the most bytes that were in use at a time since it began.
pub(crate) fn end() -> usize {
    IS_COUNTING.store(false, Ordering::Relaxed);
    LARGEST.load(Ordering::Relaxed).max(0).cast_unsigned()
}

//! What the process ends with.

use std::process::ExitCode;

/// What the process ends with. The numbers are part of the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done; or for `diff`, nothing differs.
    Ok,
    /// An error; or something is not as it should be; or for `diff`, something differs.
    Failed,
    /// `plan --detailed-exitcode`: there are changes.
    Changes,
    /// An error of `diff`, for which 1 has a meaning.
    DiffFailed,
    /// What was asked for cannot be meant so.
    Usage,
    /// It took too long.
    TimedOut,
    /// What a command ended with that was run for somebody.
    Of(u8),
}

impl Exit {
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failed => 1,
            Self::Changes | Self::DiffFailed | Self::Usage => 2,
            Self::TimedOut => 124,
            Self::Of(code) => code,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}

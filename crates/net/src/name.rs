//! Names of hosts and of network namespaces.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::ParseError;
use crate::serde_text::serde_as_text;

/// Letters, digits, `.`, `_` and `-`, not beginning with `.` or `-`: safe as a file name, in a URL and in a certificate.
fn is_plain(text: &str, length_max: usize) -> bool {
    !text.is_empty()
        && text.len() <= length_max
        && !text.starts_with(['.', '-'])
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

macro_rules! plain_name {
    ($(#[$doc:meta])* $type:ident, $what:literal, $length_max:literal, $rule:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(Arc<str>);

        impl $type {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = ParseError;

            fn from_str(text: &str) -> Result<Self, ParseError> {
                if is_plain(text, $length_max) {
                    Ok(Self(text.into()))
                } else {
                    Err(ParseError::new($what, text, $rule))
                }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        serde_as_text!($type);
    };
}

plain_name!(
    /// The name of a host: as its agent's certificate says it, and as `binding:host_id` says it.
    HostName,
    "host name",
    253,
    "1 to 253 letters, digits, '.', '_' or '-' are needed, the first a letter, a digit or '_'"
);

plain_name!(
    /// The name of a network namespace, as under `/run/netns`.
    NamespaceName,
    "namespace name",
    64,
    "1 to 64 letters, digits, '.', '_' or '-' are needed, the first a letter, a digit or '_'"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_name_comes_back_as_it_was() {
        assert_eq!("compute-1.example".parse::<HostName>().unwrap().to_string(), "compute-1.example");
    }

    #[test]
    fn a_name_that_could_leave_its_folder_is_refused() {
        for text in ["", ".", "..", "../x", "a/b", "-a", "a b", "ä"] {
            assert!(text.parse::<NamespaceName>().is_err(), "{text:?}");
        }
        assert!("x".repeat(65).parse::<NamespaceName>().is_err());
    }
}
